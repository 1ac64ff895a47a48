package tdc2

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sim/fault"
)

// faults is what the helper does wrong because it was asked to.
type faults struct {
	fails     bool          // it finds no device
	ends      time.Duration // by itself, after so long and within a word; 0: never
	killed    time.Duration // likewise, by a signal
	late      time.Duration // it begins so long after it was started
	garbage   uint64        // bytes that are no words
	garbageAt time.Duration
	stubborn  bool // it does not end when it is told to
}

// Faults are what the helper can do wrong.
var Faults = fault.Kinds[faults]{
	"ends": fault.Time("AFTER", func(f *faults) *time.Duration { return &f.ends }),
	"garbage": fault.New("BYTES@AFTER", func(f *faults, argument string) (err error) {
		n, at, found := strings.Cut(argument, "@")
		if !found {
			return fmt.Errorf("write it like garbage=100@500 ms")
		}
		if f.garbage, err = fault.ParseCount(n, 1<<20); err == nil {
			f.garbageAt, err = fault.ParseTime(at)
		}
		return err
	}),
	"late":      fault.Time("AFTER", func(f *faults) *time.Duration { return &f.late }),
	"killed":    fault.Time("AFTER", func(f *faults) *time.Duration { return &f.killed }),
	"no-device": fault.Flag(func(f *faults) *bool { return &f.fails }),
	"stubborn":  fault.Flag(func(f *faults) *bool { return &f.stubborn }),
}

// strike does what is due so long after the start; it says whether that is the end.
func (f *faults) strike(since time.Duration, out io.Writer) (ended bool, err error) {
	if f.garbage > 0 && since > f.garbageAt {
		b := make([]byte, f.garbage)
		source := rand.New(rand.NewPCG(f.garbage, 0))
		for i := range b {
			b[i] = byte(source.Uint32())
		}
		f.garbage = 0
		if _, err := out.Write(b); err != nil {
			return true, err
		}
	}
	if f.killed > 0 && since > f.killed {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		return true, err
	}
	if f.ends > 0 && since > f.ends {
		_, err := out.Write([]byte{1, 2, 3}) // of a word
		return true, err
	}
	return false, nil
}

// pause waits for a round, and says whether the helper was told to end.
func (f *faults) pause(ctx context.Context) (ended bool) {
	if f.stubborn {
		time.Sleep(round)
		return false
	}
	return !instrument.Pause(ctx, round)
}
