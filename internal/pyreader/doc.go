// Package pyreader tests python/tsrun.py, which reads runs and files of tags in
// Python, against files of known content.
package pyreader
