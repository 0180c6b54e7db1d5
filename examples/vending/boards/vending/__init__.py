"""The card reader of a vending machine."""
