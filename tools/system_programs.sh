#!/bin/sh
# Installs what the tests need besides Python where that is possible, else says in one line what to install.
missing=""
need() { # package, then the files of which one shows that it is there
  package=$1
  shift
  for file; do [ -e "$file" ] && return; done
  missing="$missing $package"
}
need mosquitto /usr/sbin/mosquitto /usr/local/sbin/mosquitto
need postgresql /usr/lib/postgresql/*/bin/initdb
need unifont /usr/share/unifont/unifont.hex
need dbus /usr/bin/dbus-daemon
need python3-dbusmock /usr/lib/python3/dist-packages/dbusmock/__init__.py
need iproute2 /usr/sbin/ip /sbin/ip /usr/bin/ip
need pcscd /usr/sbin/pcscd
need vsmartcard-vpcd /usr/lib/pcsc/drivers/serial/libifdvpcd.so
need softhsm2 /usr/bin/softhsm2-util
need systemd /usr/bin/systemd-analyze
need gcc /usr/bin/gcc
need libc6-dev /usr/include/stdio.h
need linux-libc-dev /usr/include/linux/fb.h
need libusb-1.0-0 /usr/lib/*/libusb-1.0.so.0
need swig /usr/bin/swig
need libpcsclite-dev /usr/include/PCSC/winscard.h
need chromium /usr/bin/chromium /usr/bin/chromium-browser
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  # Debian starts some of these as services where services are started; the tests bring their own, in places of their own.
  # shellcheck disable=SC2086
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/tmp/reinstate-apt.log 2>&1 && exit 0
  tail -n 3 /tmp/reinstate-apt.log
fi
echo "reinstate: for all tests, install:$missing (Debian: apt install$missing); tests that need them are skipped"
