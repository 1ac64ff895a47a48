//go:build !linux

package confine

// Thread confines nothing: only Linux has Landlock.
func Thread(Rules, string, string) Outcome { return unconfined("this system has no Landlock") }

// Privileged says nothing: nothing is confined here.
func Privileged(string) string { return "" }
