"""What ships on the terminal."""

VERSION = "0.1.0"
