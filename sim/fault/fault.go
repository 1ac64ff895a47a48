// Package fault reads what a simulated device is asked to do wrong: NAME, or
// NAME=VALUE.
package fault

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tsrun/sdk/quantity"
)

// Kinds are the faults of a device by their names. F is where they are kept.
type Kinds[F any] map[string]Kind[F]

// Kind is one fault.
type Kind[F any] struct {
	Argument string // what it is called in messages; empty: there is none
	Set      func(f *F, argument string) error
}

// List lists the faults that can be asked for, as they are written.
func (k Kinds[F]) List() []string {
	names := slices.Sorted(maps.Keys(k))
	for i, name := range names {
		if argument := k[name].Argument; argument != "" {
			names[i] = name + "=" + argument
		}
	}
	return names
}

// Check reports the first fault that is none of these.
func (k Kinds[F]) Check(texts []string) error {
	_, err := k.Parse(texts)
	return err
}

// Parse reads the faults asked for.
func (k Kinds[F]) Parse(texts []string) (F, error) {
	var f, none F
	for _, text := range texts {
		name, argument, has := strings.Cut(text, "=")
		kind, ok := k[name]
		switch {
		case !ok:
			return none, fmt.Errorf("simulate fault %.64q: unknown; the faults are %s", text, strings.Join(k.List(), ", "))
		case kind.Argument == "" && has:
			return none, fmt.Errorf("simulate fault %.64q: %s takes no argument", text, name)
		case kind.Argument != "" && argument == "":
			return none, fmt.Errorf("simulate fault %.64q: write %s=%s", text, name, kind.Argument)
		}
		if err := kind.Set(&f, argument); err != nil {
			return none, fmt.Errorf("simulate fault %.64q: read %s: %w", text, kind.Argument, err)
		}
	}
	return f, nil
}

// New is a fault with an argument.
func New[F any](argument string, set func(f *F, argument string) error) Kind[F] {
	return Kind[F]{Argument: argument, Set: set}
}

// Flag is a fault without an argument.
func Flag[F any](at func(*F) *bool) Kind[F] {
	return New("", func(f *F, _ string) error { *at(f) = true; return nil })
}

// Time is a fault with a time of 1 ns to 1 h.
func Time[F any](argument string, at func(*F) *time.Duration) Kind[F] {
	return New(argument, func(f *F, text string) (err error) {
		*at(f), err = ParseTime(text)
		return err
	})
}

// Count is a fault with a whole number from 1 to most.
func Count[F any](argument string, most uint64, at func(*F) *uint64) Kind[F] {
	return New(argument, func(f *F, text string) (err error) {
		*at(f), err = ParseCount(text, most)
		return err
	})
}

// ParseTime reads a time of 1 ns to 1 h.
func ParseTime(text string) (time.Duration, error) {
	t, err := quantity.ParseTime(text)
	if err == nil && (t < quantity.Nanosecond || t > 3600*quantity.Second) {
		err = fmt.Errorf("%v must lie from 1 ns to 1 h", t)
	}
	return t.Duration(), err
}

// ParseCount reads a whole number from 1 to most.
func ParseCount(text string, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || n > most {
		return 0, fmt.Errorf("%.64q is no whole number from 1 to %d", text, most)
	}
	return n, nil
}
