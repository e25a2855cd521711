# SPDX-License-Identifier: MIT
# Makes a C string of the metadata. The time of the build is left out: builds are to be alike.
/barectf_gen_date/d
/^ \* on 2/d
s/["\\]/\\&/g
s/.*/"&\\n"/
