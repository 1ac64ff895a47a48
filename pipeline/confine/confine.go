// Package confine takes rights away from a thread of this process and from the
// programs that are started on it, by Landlock, where the kernel has it.
//
// A confined program can neither see nor change that it is: the rights are those of
// the thread that starts it, and children inherit them. Nothing can give them back,
// so the thread must end with what it was confined for.
package confine

// Rules say what stays allowed. Paths that are not there are left out.
type Rules struct {
	Read    []string // files and directories: read, list, execute
	Write   []string // directories: everything below them too
	Devices []string // files and directories of devices: read, write, ioctl
	Network bool     // TCP may be bound and connected
}

// Outcome says whether a thread is confined.
type Outcome struct {
	Confined bool
	Why      string // not
}

// unconfined is the outcome of a confinement that did not come to be.
func unconfined(why string) Outcome { return Outcome{Why: why} }
