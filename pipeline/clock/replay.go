package clock

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Moment is a reading that was worked out from a record.
type Moment struct {
	File      string   `json:"file"`              // the segment that was closed then; "": the start of the recording
	UTC       int64    `json:"utc_ns"`            // by the node's clock, ns since 1970
	Monotonic int64    `json:"monotonic_ns"`      // by a clock that nobody sets, from some begin
	Reading   *Reading `json:"reading,omitempty"` // of the source of the recipe; absent: there was none
}

// Replay reads a record and works out the readings of a source of the recipe at every
// segment, as the node could. The error says which line is none.
func Replay(in io.Reader, source string) (moments []Moment, err error) {
	p := newReplay(source)
	lines := csv.NewReader(in)
	lines.FieldsPerRecord, lines.ReuseRecord = -1, true
	for n := 1; ; n++ {
		fields, err := lines.Read()
		switch {
		case err == io.EOF && n > 1:
			return p.moments, nil
		case err == io.EOF:
			return nil, errors.New("read record of a clock: it is empty")
		case err != nil:
			return nil, fmt.Errorf("read record of a clock: %w", err)
		}
		if n == 1 {
			if len(fields) != 2 || fields[0] != "v" || fields[1] != recordVersion {
				return nil, fmt.Errorf("read record of a clock: it begins with %.40q; this release reads version %s", fields, recordVersion)
			}
			continue
		}
		if err := p.line(fields); err != nil {
			return nil, fmt.Errorf("read record of a clock: line %d: %w", n, err)
		}
	}
}

// replay is what a node knew at a line of its record.
type replay struct {
	probes   exchanges
	comparer Comparer
	services map[string]*service
	moments  []Moment
	apart    int64 // ns: nearer moments are left out
}

// maxMoments bounds how many readings are worked out: of a long run every second one,
// every fourth, and so on.
const maxMoments = 4000

func newReplay(source string) *replay {
	p := &replay{services: map[string]*service{}}
	all := &Services{}
	for _, name := range []string{PTP, Chrony} {
		p.services[name] = &service{follower: follower{source: name}}
		all.all = append(all.all, p.services[name])
	}
	p.comparer = Comparer{services: all, wanted: source, last: map[string]Reading{}, probes: &p.probes, servedBy: map[string]bool{}}
	return p
}

// numbers reads fields as integers.
func numbers(fields []string) (n []int64, err error) {
	for _, f := range fields {
		v, err := strconv.ParseInt(f, 10, 64)
		if err != nil || v < -1<<62 || v > 1<<62 {
			return nil, fmt.Errorf("%.40q is no time in ns", f)
		}
		n = append(n, v)
	}
	return n, nil
}

func (p *replay) line(f []string) error {
	wants := map[string]int{"p": 6, "f": 10, "m": 11, "s": 4}
	if wants[f[0]] != len(f) {
		return fmt.Errorf("%.40q with %d fields is none", f[0], len(f))
	}
	switch f[0] {
	case "p":
		n, err := numbers(f[1:6])
		if err != nil {
			return err
		}
		if e := (Exchange{n[0], n[1], n[2], n[3]}); e.possible() {
			p.probes.keep(e, n[4] == 1)
		}
	case "f":
		n, err := numbers(f[2:7])
		if err != nil {
			return err
		}
		if s := p.services[f[1]]; s != nil {
			s.note(Followed{At: n[0], Offset: n[1], Doubt: n[2], Delay: n[3], Loose: n[4], Of: f[7], State: f[8], Lost: f[9]}, time.Unix(0, n[0]))
		}
	case "m":
		return p.heard(f)
	case "s":
		n, err := numbers(f[1:3])
		if err != nil {
			return err
		}
		p.moment(Moment{UTC: n[0], Monotonic: n[1], File: f[3]})
	}
	return nil
}

// heard takes how the master's clock stood.
func (p *replay) heard(f []string) error {
	n, err := numbers([]string{f[2], f[3], f[5]})
	if err != nil {
		return err
	}
	s := Standing{Source: f[1], At: n[0], Offset: n[1], Bound: n[2], Reference: f[8], Lost: f[9]}
	for i, into := range map[int]*float64{4: &s.Deviation, 6: &s.Drift, 7: &s.DriftSd} {
		if *into, err = strconv.ParseFloat(f[i], 64); err != nil {
			return fmt.Errorf("%.40q is no number", f[i])
		}
	}
	if !s.Plausible() {
		return errors.New("a clock cannot stand so")
	}
	p.comparer.servedBy[s.Reference] = f[10] == "1"
	theirs := []Standing{s}
	for _, other := range p.comparer.theirs {
		if other.Source != s.Source {
			theirs = append(theirs, other)
		}
	}
	p.comparer.theirs, p.comparer.heard = theirs, time.Unix(0, n[0])
	return nil
}

// moment works out the reading of a moment.
func (p *replay) moment(m Moment) {
	if n := len(p.moments); n > 0 && m.File != "" && p.moments[n-1].File != "" && max(m.UTC-p.moments[n-1].UTC, p.moments[n-1].UTC-m.UTC) < p.apart {
		return
	}
	if r, ok := p.comparer.readingAt(time.Unix(0, m.UTC)); ok {
		m.Reading = &r
	}
	if p.moments = append(p.moments, m); len(p.moments) < maxMoments {
		return
	}
	half := p.moments[:0]
	for i := 0; i < len(p.moments); i += 2 {
		half = append(half, p.moments[i])
	}
	p.moments = half
	p.apart = max(2*p.apart, (half[len(half)-1].UTC-half[0].UTC)/int64(len(half)))
}
