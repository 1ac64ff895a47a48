//go:build !linux

package main

// lock relies on the system, which lets one program open a serial line.
func lock(string) (unlock func(), err error) { return func() {}, nil }

// owner names who has a device, and announce tells others, on Linux.
func owner(string) string    { return "" }
func announce(string) func() { return func() {} }
