// Package realtime waits for an instant of this PC's clock as exactly as the
// system lets a process, and says which of the privileges that this takes it has.
//
//	Await: sleep on CLOCK_MONOTONIC to 1 ms before the instant ─▶ watch the clock
//
// A thread that waits keeps to one core, has a real-time priority (SCHED_FIFO) and
// no timer slack, where [Settings] ask for it and the system grants it. A privilege
// is asked for by doing what it allows: being root proves nothing in a container,
// and being nobody forbids nothing that limits.conf allows.
//
// It is used by the process of a driver, which fires, and by whoever wants to know
// how well this PC does so.
package realtime

// Settings are what a thread that waits for an instant asks of the system.
type Settings struct {
	Priority   int   // of SCHED_FIFO, 1 to 99; 0: none
	Cores      []int // it runs on these alone; none: on any
	LockMemory bool  // the process's memory stays in memory
}

// DefaultPriority is that of a thread for which no number is asked: above what
// runs at a real-time priority for no reason, and below the kernel's own threads.
const DefaultPriority = 50

// What is asked of the system.
const (
	Priority   = "priority"
	Core       = "core"
	LockMemory = "lock_memory"
	DMALatency = "dma_latency"
	BusyPoll   = "busy_poll"
)

// Grant is what became of one thing that was asked of the system.
type Grant struct {
	What    string `json:"what"`             // a key of the recipe's section realtime
	Asked   string `json:"asked"`            // as the recipe may write it
	Granted bool   `json:"granted"`          // the system did it
	Got     string `json:"got,omitempty"`    // granted, and other than what was asked
	Errno   string `json:"errno,omitempty"`  // what the system said, like EPERM
	Why     string `json:"why,omitempty"`    // it was not granted
	Remedy  string `json:"remedy,omitempty"` // what to do about it
}
