package tdc1

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tsrun/sim/fault"
)

// faults is what a unit does wrong because it was asked to.
type faults struct {
	losses        []loss        // of bytes, in order
	unplugged     time.Duration // after it was switched on; 0: never
	referenceLost time.Duration // likewise
	slow          time.Duration // before each reply
	silent        bool          // no reply
	wrongDevice   bool          // *IDN? names something else
	buffer        uint64        // bytes that it keeps while the line takes none; 0: as many as there are
	slowLink      uint64        // bytes per second of the line; 0: as many as it takes
}

// loss is bytes that get lost at a time of the unit's clock. The first one
// lost is the second one of a word.
type loss struct {
	at    int64 // ps
	bytes int
}

const mostBytes = 1 << 20 // that a fault speaks of

// Faults are what a unit can do wrong.
var Faults = fault.Kinds[faults]{
	"lost-bytes":     fault.New("COUNT@AT", addLoss),
	"reference-lost": fault.Time("AFTER", func(f *faults) *time.Duration { return &f.referenceLost }),
	"silent":         fault.Flag(func(f *faults) *bool { return &f.silent }),
	"slow-link":      fault.Count("BYTES_PER_SECOND", 1<<30, func(f *faults) *uint64 { return &f.slowLink }),
	"slow-reply":     fault.Time("DURATION", func(f *faults) *time.Duration { return &f.slow }),
	"small-buffer":   fault.Count("BYTES", mostBytes, func(f *faults) *uint64 { return &f.buffer }),
	"unplugged":      fault.Time("AFTER", func(f *faults) *time.Duration { return &f.unplugged }),
	"wrong-device":   fault.Flag(func(f *faults) *bool { return &f.wrongDevice }),
}

func addLoss(f *faults, argument string) error {
	count, at, found := strings.Cut(argument, "@")
	if !found {
		return fmt.Errorf("write it like lost-bytes=3@500 ms, 1 to %d bytes", mostBytes)
	}
	n, err := fault.ParseCount(count, mostBytes)
	if err != nil {
		return err
	}
	t, err := fault.ParseTime(at)
	f.losses = append(f.losses, loss{at: t.Nanoseconds() * 1000, bytes: int(n)})
	slices.SortFunc(f.losses, func(a, b loss) int { return cmp.Compare(a.at, b.at) })
	return err
}
