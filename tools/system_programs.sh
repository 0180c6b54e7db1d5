#!/bin/sh
# Installs what the tests need besides Python where that is possible, else says in one line what to install.
missing=""
command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] || missing="mosquitto"
[ -e /usr/share/unifont/unifont.hex ] || missing="$missing unifont"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  # Debian starts mosquitto as a service where services are started; the tests bring their own, on ports of their own.
  # shellcheck disable=SC2086
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/tmp/reinstate-apt.log 2>&1 && exit 0
  tail -n 3 /tmp/reinstate-apt.log
fi
echo "reinstate: for all tests, install:$(printf ' %s' $missing) (Debian: apt install$(printf ' %s' $missing)); tests that need them are skipped"
