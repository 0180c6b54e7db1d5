"""What it means that a device's file in /dev cannot be opened, or was lost while it was in use."""

import errno
import grp
import os
import pwd
import stat

from hal.errors import E_FAILURE, E_NOHARDWARE, DeviceError

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.EIO)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM)
_IN_USE = (errno.EBUSY, errno.EAGAIN)  # EAGAIN: a lock that another program holds


def unusable(kind: str, path: str, error: OSError) -> DeviceError:
    """The DeviceError for a file that could not be opened: cause 'unplugged', 'no_permission' (also where another program holds it alone),
    or '' for a file that is no such device.
    """
    if error.errno in _NOT_THERE:
        return unplugged(kind, path)
    if error.errno in _NOT_ALLOWED:
        return DeviceError(E_FAILURE, kind, "%s may be used by %s" % (path, _who_may(path)), cause="no_permission")
    if error.errno in _IN_USE:
        return DeviceError(E_FAILURE, kind, "another program holds %s" % path, cause="no_permission")
    return DeviceError(E_NOHARDWARE, kind, "%s: %s" % (path, error.strerror or error))


def unplugged(kind: str, path: str) -> DeviceError:
    return DeviceError(E_NOHARDWARE, kind, "%s is not there" % path, cause="unplugged")


def _who_may(path: str) -> str:
    """'group input', or 'user root' where the group may not either; 'others' where not even that may be seen."""
    try:
        status = os.stat(path)
    except OSError:  # a folder on the way to it is closed
        return "others"
    try:
        if status.st_mode & stat.S_IRGRP:
            return "group " + grp.getgrgid(status.st_gid).gr_name
        return "user " + pwd.getpwuid(status.st_uid).pw_name
    except KeyError:  # one that has a number and no name
        return "group %d or user %d" % (status.st_gid, status.st_uid)
