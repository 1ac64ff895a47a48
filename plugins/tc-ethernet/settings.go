package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"tsrun/sdk/quantity"
)

// setting is one value of the device that decides what is recorded. A device
// keeps what any program has set, so each is set and read back.
type setting struct {
	header string // "INPUt1:EDGE"
	value  string // what it is to be; empty: it is only read
	alike  func(want, got string) bool
	must   bool // a device that cannot be asked for it is refused
	may    bool // only set where a device can be asked for it, and answers otherwise
	stays  bool // is not set back in the end
}

// word is one of a few words, such as ON or RISIng.
func word(header, value string) setting {
	return setting{header: header, value: value, alike: alikeWords}
}

// link leads from one block to another; what a device answers to one that it
// cannot make is not known, so it must be read back.
func link(header, block string) setting {
	return setting{header: header + ":LINK", value: block, alike: alikeWords, must: true}
}

// delay is a time in ps, which a device may round to its resolution.
func delay(header string, ps int64) setting {
	return setting{header: header, value: fmt.Sprint(ps), alike: within(delayTolerance)}
}

// exactly is a time in ps that must be kept as it is.
func exactly(header string, ps uint64) setting {
	return setting{header: header, value: fmt.Sprint(ps), alike: within(0)}
}

// threshold is a voltage, which a device rounds to what it can make.
func threshold(header string, v quantity.Voltage) setting {
	return setting{header: header, value: volts(int64(v)), alike: within(thresholdTolerance)}
}

// seen is what is only read, for the record.
func seen(header string) setting { return setting{header: header, may: true} }

// optional marks settings that a firmware may not have.
func optional(s setting) setting {
	s.may = true
	return s
}

const (
	delayTolerance     = 1_000_000_000_000_000 // 1 ns, in 1e-12 ps: see parseValue
	thresholdTolerance = 50_000_000_000        // 50 mV, in 1e-12 V
)

// applied is a setting and what became of it.
type applied struct {
	setting
	before string // what the device said; empty: it could not be asked
	during string
	after  string
	set    bool // it was changed, or may have been
}

// apply sets a group of settings and reads them back. What was found and made
// is noted in order, so that it can be set back, also when an error ends it.
func (d *driver) apply(ctx context.Context, hint string, group ...setting) error {
	before, err := d.tc.read(ctx, headers(group))
	if err != nil {
		return err
	}
	var commands []string
	var ordered []*applied // of each command
	places := make([]*applied, len(group))
	for i, s := range group {
		places[i] = d.note(s, before[i])
		if s.value == "" || s.may && (before[i] == "" || s.alike(s.value, before[i])) {
			continue
		}
		places[i].set = true
		commands, ordered = append(commands, s.header+" "+s.value), append(ordered, places[i])
	}
	if len(commands) == 0 {
		return nil
	}
	replies, err := d.tc.order(ctx, commands)
	if err != nil {
		return refused(err, hint)
	}
	now, err := d.tc.read(ctx, headers(group))
	if err != nil {
		return err
	}
	for i, a := range places {
		a.during = now[i]
	}
	for n, a := range ordered {
		if err := a.confirm(commands[n], replies.to(n)); err != nil {
			return refused(err, hint)
		}
	}
	return nil
}

// note adds a setting as it was found to those of this acquisition. One that
// is there already was found before it was set first.
func (d *driver) note(s setting, before string) *applied {
	for _, a := range d.applied {
		if a.header == s.header {
			a.setting, a.during = s, before
			return a
		}
	}
	a := &applied{setting: s, before: before, during: before}
	d.applied = append(d.applied, a)
	return a
}

// confirm reports an error unless the setting is what it is to be. One that
// cannot be read is believed when the device has acknowledged it in words that
// are known.
func (a *applied) confirm(command, reply string) error {
	switch {
	case a.during != "" && a.alike(a.value, a.during):
		return nil
	case a.during != "":
		return &commandError{command: command, reply: reply, instead: a.during}
	case a.must:
		return &commandError{command: command, reply: reply, instead: "what it does not tell"}
	case !acknowledges(reply):
		return &commandError{command: command, reply: reply}
	}
	return nil
}

// restore sets back what was changed and reads everything once more. What
// cannot be set back is said in the log and the report.
func (d *driver) restore(ctx context.Context) {
	var back []*applied
	for _, a := range d.applied {
		if a.set && !a.stays && a.before != "" && a.before != a.during {
			back = append(back, a)
		}
	}
	// What is switched off comes first, so that nothing begins meanwhile.
	slices.SortStableFunc(back, func(a, b *applied) int { return cmp.Compare(a.begins(), b.begins()) })
	err := d.setBack(ctx, back)
	if err == nil {
		err = d.readAfter(ctx)
	}
	if err != nil {
		d.log.Warn("the settings of the device were not all set back; the report of the controller tells what they were", "error", err)
		return
	}
	for _, a := range back {
		if a.after != a.before {
			d.log.Warn("a setting of the device could not be set back", "setting", a.header, "was", a.before, "is", a.after)
		}
	}
}

// begins is 0 for a setting that stops something when it is set back, and
// otherwise 1.
func (a *applied) begins() int {
	if alikeWords("OFF", a.before) {
		return 0
	}
	return 1
}

const atOnce = 24 // commands or questions in one message

func (d *driver) setBack(ctx context.Context, back []*applied) error {
	for chunk := range slices.Chunk(back, atOnce) {
		commands := make([]string, len(chunk))
		for n, a := range chunk {
			commands[n] = a.header + " " + a.before
		}
		if err := d.tc.do(ctx, commands...); err != nil && !isRefusal(err) { // reading will tell
			return err
		}
	}
	return nil
}

// readAfter notes what every setting is in the end.
func (d *driver) readAfter(ctx context.Context) error {
	for chunk := range slices.Chunk(d.applied, atOnce) {
		asked := make([]string, len(chunk))
		for n, a := range chunk {
			asked[n] = a.header
		}
		now, err := d.tc.read(ctx, asked)
		if err != nil {
			return err
		}
		for n, a := range chunk {
			a.after = now[n]
		}
	}
	return nil
}

func isRefusal(err error) bool {
	var refusal *commandError
	return errors.As(err, &refusal)
}

func headers(group []setting) []string {
	list := make([]string, len(group))
	for i, s := range group {
		list[i] = s.header
	}
	return list
}

// alikeWords compares words as the device writes and reads them: any case, and
// any length from a few letters on; numbers behind them must be the same.
func alikeWords(want, got string) bool {
	const shortest = 3 // REC
	w, g := strings.ToUpper(strings.TrimSpace(want)), strings.ToUpper(strings.TrimSpace(got))
	wordOf := func(s string) string { return strings.TrimRight(s, "0123456789") }
	a, b := wordOf(w), wordOf(g)
	if w == "ON" && g == "1" || w == "OFF" && g == "0" {
		return true
	}
	if w[len(a):] != g[len(b):] || min(len(a), len(b)) < min(shortest, max(len(a), len(b))) {
		return false
	}
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// within compares numbers with units, which may differ by a tolerance.
func within(tolerance int64) func(want, got string) bool {
	return func(want, got string) bool {
		w, wantOK := parseValue(want)
		g, gotOK := parseValue(got)
		return wantOK && gotOK && w.Sub(w, g).CmpAbs(big.NewInt(tolerance)) <= 0
	}
}

// parseValue reads a decimal number with a unit of time (TB, 1 ps) or voltage
// (V) and an SI prefix, or with none, in 1e-12 of the unit.
func parseValue(text string) (*big.Int, bool) {
	text = strings.TrimSpace(text)
	end := strings.LastIndexAny(text, "0123456789.") + 1
	unit := strings.TrimSpace(text[end:])
	for _, name := range []string{"TB", "tb", "V", "v"} {
		if strings.HasSuffix(unit, name) {
			unit = strings.TrimSuffix(unit, name)
			break
		}
	}
	power, known := map[string]int{"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "m": -3, "u": -6}[unit]
	const longest, farthest = 40, 30
	if !known || end == 0 || end > longest || strings.ContainsAny(text[:end], "/xXpP_") {
		return nil, false
	}
	if at := strings.IndexAny(text[:end], "eE"); at >= 0 {
		var exponent int
		if _, err := fmt.Sscanf(text[at+1:end], "%d", &exponent); err != nil || exponent < -farthest || exponent > farthest {
			return nil, false
		}
	}
	v, ok := new(big.Rat).SetString(text[:end])
	if !ok {
		return nil, false
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(12+power)), nil))
	v.Mul(v, scale)
	return new(big.Int).Quo(v.Num(), v.Denom()), true
}
