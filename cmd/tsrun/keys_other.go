//go:build !linux

package main

// singleKeys changes nothing: keys come with Enter.
func singleKeys() (restore func()) { return func() {} }
