"""Puts a log file aside that has become large or old, so that a program goes on with an empty one.

`rename`   the file gets a dated name, an empty one with its rights takes its place, and the program
           is told to open that (a signal, a command). Nothing is lost: until it does, it writes to
           the renamed file, which is compressed by a later run, once nobody holds it open.
`copy`     for a program that cannot reopen: the content is copied, and the file cut to nothing.
           What is written between the last read and the cut is lost; the result says how many bytes
           were seen to come in that time.
"""
