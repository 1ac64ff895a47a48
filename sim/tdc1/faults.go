package tdc1

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tsrun/sdk/quantity"
)

// faults is what a unit does wrong because it was asked to.
type faults struct {
	losses        []loss        // of bytes, in order
	unplugged     time.Duration // after it was switched on; 0: never
	referenceLost time.Duration // likewise
	slow          time.Duration // before each reply
	silent        bool          // no reply
	wrongDevice   bool          // *IDN? names something else
}

// loss is bytes that get lost at a time of the unit's clock. The first one
// lost is the second one of a word.
type loss struct {
	at    int64 // ps
	bytes int
}

func (f faults) unplugs() bool { return f.unplugged > 0 }

// Faults lists what a unit can do wrong.
func Faults() []string {
	return []string{"lost-bytes=COUNT@AT", "reference-lost=AFTER", "silent", "slow-reply=DURATION", "unplugged=AFTER", "wrong-device"}
}

// CheckFaults reports the faults that there are not.
func CheckFaults(texts []string) error {
	_, err := parseFaults(texts)
	return err
}

func parseFaults(texts []string) (f faults, err error) {
	for _, text := range texts {
		name, argument, _ := strings.Cut(text, "=")
		switch name {
		case "lost-bytes":
			err = f.addLoss(argument)
		case "reference-lost":
			f.referenceLost, err = duration(argument)
		case "unplugged":
			f.unplugged, err = duration(argument)
		case "slow-reply":
			f.slow, err = duration(argument)
		case "silent":
			f.silent = true
		case "wrong-device":
			f.wrongDevice = true
		default:
			err = fmt.Errorf("unknown; the faults are %s", strings.Join(Faults(), ", "))
		}
		if err != nil {
			return f, fmt.Errorf("simulate fault %.64q: %w", text, err)
		}
	}
	slices.SortFunc(f.losses, func(a, b loss) int { return cmp.Compare(a.at, b.at) })
	return f, nil
}

func (f *faults) addLoss(argument string) error {
	count, at, found := strings.Cut(argument, "@")
	n, err := strconv.ParseUint(count, 10, 32)
	if !found || err != nil || n == 0 || n > 1<<20 {
		return fmt.Errorf("write it like lost-bytes=3@500 ms, 1 to %d bytes", 1<<20)
	}
	t, err := duration(at)
	f.losses = append(f.losses, loss{at: t.Nanoseconds() * 1000, bytes: int(n)})
	return err
}

// duration reads a time of 1 ns to 1 h.
func duration(text string) (time.Duration, error) {
	t, err := quantity.ParseTime(text)
	if err == nil && (t < quantity.Nanosecond || t > 3600*quantity.Second) {
		err = fmt.Errorf("%v must lie from 1 ns to 1 h", t)
	}
	return t.Duration(), err
}
