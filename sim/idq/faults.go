package idq

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tsrun/sdk/quantity"
	"tsrun/sim/fault"
	"tsrun/sim/sky"
)

// faults is what a simulated controller does wrong because it was asked to.
// Records count from 0, requests from 1.
type faults struct {
	slowReply   time.Duration     // before each reply of either service
	noReply     uint64            // this SCPI request is never answered; 0: none
	scpiError   string            // canonical header that is always refused
	rawErrors   uint64            // RAWn:ERRORS? after the first record; as many of its tags are lost
	dltError    string            // entry in errors of every status object
	stuck       onRecord          // never ends
	crash       onRecord          // the DataLinkTargetService dies before delivering it
	split       onRecord          // delivered in two messages
	empty       onRecord          // without its tags
	repeat      onRecord          // delivered twice
	swap        onRecord          // delivered after the next one
	highRate    bool              // more events than the device can take
	stale       bool              // every channel has an acquisition open from the beginning
	oldStatus   bool              // status says seconds_since_last_activity
	wrongDevice bool              // *IDN? names something else
	clockStep   sky.ClockStep     // the clock jumps
	turn        sky.FrequencyJump // its frequency does
	silent      bool              // connections are taken, nothing is ever sent
}

// onRecord is a fault that strikes one record.
type onRecord struct {
	armed  bool
	record uint64
}

func (f onRecord) strikes(record uint64) bool { return f.armed && f.record == record }

// Faults are the faults that can be asked for.
var Faults = fault.Kinds[faults]{
	"slow-reply": fault.New("DURATION", func(f *faults, arg string) error {
		d, err := quantity.ParseTime(arg)
		if err == nil && (d < 0 || d > 60*quantity.Second) {
			err = fmt.Errorf("%v must lie from 0 to 60 s", d)
		}
		f.slowReply = d.Duration()
		return err
	}),
	"no-reply": fault.New("REQUEST", func(f *faults, arg string) (err error) {
		f.noReply, err = strconv.ParseUint(arg, 10, 32)
		return err
	}),
	"scpi-error": fault.New("HEADER", func(f *faults, arg string) error {
		path, err := commandTree().find(strings.Split(strings.TrimSuffix(arg, "?"), ":"))
		if err != nil {
			return err
		}
		f.scpiError = path.header
		return nil
	}),
	"raw-errors": fault.New("COUNT", func(f *faults, arg string) (err error) {
		f.rawErrors, err = strconv.ParseUint(arg, 10, 32)
		return err
	}),
	"dlt-error": fault.New("TEXT", func(f *faults, arg string) error {
		f.dltError = arg
		return nil
	}),
	"stuck-record":  fault.New("RECORD", func(f *faults, arg string) error { return f.stuck.parse(arg) }),
	"dlt-crash":     fault.New("RECORD", func(f *faults, arg string) error { return f.crash.parse(arg) }),
	"split-record":  fault.New("RECORD", func(f *faults, arg string) error { return f.split.parse(arg) }),
	"empty-record":  fault.New("RECORD", func(f *faults, arg string) error { return f.empty.parse(arg) }),
	"repeat-record": fault.New("RECORD", func(f *faults, arg string) error { return f.repeat.parse(arg) }),
	"swap-records":  fault.New("RECORD", func(f *faults, arg string) error { return f.swap.parse(arg) }),

	"clock-step": fault.New("BY@AT", func(f *faults, arg string) (err error) {
		f.clockStep, err = parseClockStep(arg)
		return err
	}),

	"frequency-jump": fault.New("BY@AT", func(f *faults, arg string) (err error) {
		f.turn, err = parseFrequencyJump(arg)
		return err
	}),

	"high-rate":         fault.Flag(func(f *faults) *bool { return &f.highRate }),
	"stale-acquisition": fault.Flag(func(f *faults) *bool { return &f.stale }),
	"old-status-key":    fault.Flag(func(f *faults) *bool { return &f.oldStatus }),
	"wrong-identity":    fault.Flag(func(f *faults) *bool { return &f.wrongDevice }),
	"silent":            fault.Flag(func(f *faults) *bool { return &f.silent }),
}

func (f *onRecord) parse(arg string) (err error) {
	f.armed = true
	f.record, err = strconv.ParseUint(arg, 10, 32)
	return err
}

// parseClockStep reads BY@AT, such as 5 ns@30 s.
func parseClockStep(arg string) (sky.ClockStep, error) {
	left, at, err := parseMoment(arg, "5 ns@30 s")
	if err != nil {
		return sky.ClockStep{}, err
	}
	by, err := quantity.ParseTime(left)
	switch {
	case err != nil:
		return sky.ClockStep{}, err
	case by == 0 || by < -quantity.Second || by > quantity.Second:
		return sky.ClockStep{}, fmt.Errorf("a jump by %v: it must be other than 0 and up to 1 s, ahead or back", by)
	}
	return sky.ClockStep{At: at, By: int64(by)}, nil
}

// parseFrequencyJump reads BY@AT, such as 100 ppb@30 s.
func parseFrequencyJump(arg string) (sky.FrequencyJump, error) {
	left, at, err := parseMoment(arg, "100 ppb@30 s")
	if err != nil {
		return sky.FrequencyJump{}, err
	}
	by, err := quantity.ParseDrift(left)
	switch {
	case err != nil:
		return sky.FrequencyJump{}, err
	case by == 0 || by < -mostTurned || by > mostTurned:
		return sky.FrequencyJump{}, fmt.Errorf("a jump of the frequency by %v: it must be other than 0 and up to 100 ppm, up or down", by)
	}
	return sky.FrequencyJump{At: at, By: by}, nil
}

const mostTurned = 100_000 * quantity.PartPerBillion

// parseMoment cuts BY@AT and reads the time since the start, in ps.
func parseMoment(arg, example string) (by string, at int64, err error) {
	by, right, found := strings.Cut(arg, "@")
	if !found {
		return "", 0, fmt.Errorf("%q has no @: write it like %s", arg, example)
	}
	t, err := quantity.ParseTime(right)
	switch {
	case err != nil:
		return "", 0, err
	case t < 0:
		return "", 0, fmt.Errorf("a jump at %v: it must come after the start", t)
	}
	return by, int64(t), nil
}
