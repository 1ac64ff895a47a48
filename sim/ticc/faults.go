package ticc

import (
	"time"

	"tsrun/sim/fault"
)

// faults is what a counter does wrong because it was asked to.
type faults struct {
	truncated     uint64        // the line that is cut short; 0: none
	unplugged     time.Duration // after it was switched on; 0: never
	referenceLost time.Duration // likewise
	silent        bool
	wrongMode     bool // it measures intervals
	inMenu        bool // a program before has left it in its menu
}

// Faults are what a counter can do wrong.
var Faults = fault.Kinds[faults]{
	"in-menu":        fault.Flag(func(f *faults) *bool { return &f.inMenu }),
	"reference-lost": fault.Time("AFTER", func(f *faults) *time.Duration { return &f.referenceLost }),
	"silent":         fault.Flag(func(f *faults) *bool { return &f.silent }),
	"truncated-line": fault.Count("NUMBER", 1<<32, func(f *faults) *uint64 { return &f.truncated }),
	"unplugged":      fault.Time("AFTER", func(f *faults) *time.Duration { return &f.unplugged }),
	"wrong-mode":     fault.Flag(func(f *faults) *bool { return &f.wrongMode }),
}
