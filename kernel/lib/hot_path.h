/* SPDX-License-Identifier: MIT */
/* Included first by the files on the way of an exit: their functions have no frame pointer, which
 * costs each three instructions. A backtrace leaves them out. (Clang, for the fuzz targets, has no
 * such pragma.) */
#ifndef __clang__
#pragma GCC optimize("omit-frame-pointer")
#endif
