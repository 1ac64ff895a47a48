package align

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
)

// MaxTags is how many tags of a channel are held at once: 512 MiB.
const MaxTags = 1 << 26

// Parts is B's clock through records of any length, which were aligned in parts.
type Parts struct {
	Alignment             // of the whole; its line is that of the part in the middle
	Count     int         // parts
	Refused   []track.Gap // those in which no offset was found
	lines     correlate.Correction
}

// Correction returns what carries B's tags to A's clock in all parts.
func (p Parts) Correction() correlate.Correction {
	if p.Count <= 1 {
		return p.Alignment.Correction()
	}
	return p.lines
}

// AlignStreams is [Align] for records that may be too long to be held: more
// than [MaxTags] are aligned in parts that overlap by half. The error is a
// *[Refusal] when no part gives an answer.
func AlignStreams(ctx context.Context, a, b correlate.Stream, o Options) (Parts, error) {
	return alignParts(ctx, a, b, o, MaxTags)
}

// alignParts aligns parts of at most so many tags of each.
func alignParts(ctx context.Context, a, b correlate.Stream, o Options, most int) (Parts, error) {
	if err := o.Check(); err != nil {
		return Parts{}, err
	}
	d := dealer{a: a, b: b, most: most, buf: make([]uint64, 1<<15)}
	var found []Alignment
	var refused []track.Gap
	var why *Refusal
	var began uint64
	for more := true; more; {
		if err := d.fill(); err != nil {
			return Parts{}, err
		}
		if began == 0 && len(d.tagsA) > 0 {
			began = d.tagsA[0]
		}
		search := o
		if len(d.tagsA) > 0 { // by then the clocks may be so much further apart
			search.Search = min(o.Search+o.MaxDrift.Of(int64(d.tagsA[0]-began)), MaxSearch)
		}
		part, err := Align(ctx, d.tagsA, d.tagsB, search)
		switch {
		case errors.As(err, &why):
			if len(d.tagsA) > 0 {
				refused = append(refused, track.Gap{From: d.tagsA[0], To: d.tagsA[len(d.tagsA)-1]})
			}
		case err != nil:
			return Parts{}, err
		default:
			found = append(found, part)
		}
		more = d.forget(2 * search.Search)
	}
	if len(found) == 0 {
		return Parts{}, why
	}
	return joined(found, refused)
}

// dealer holds the part of two records that is aligned next.
type dealer struct {
	a, b         correlate.Stream
	most         int
	tagsA, tagsB []uint64
	endA, endB   bool
	buf          []uint64
}

// fill reads on, the record that is behind first, until one has as many tags as
// may be held.
func (d *dealer) fill() (err error) {
	for !(d.endA && d.endB) && len(d.tagsA) < d.most && len(d.tagsB) < d.most {
		behind := d.endB || !d.endA && (len(d.tagsA) == 0 ||
			len(d.tagsB) > 0 && int64(d.tagsA[len(d.tagsA)-1]-d.tagsB[len(d.tagsB)-1]) <= 0)
		if behind {
			d.tagsA, d.endA, err = d.read(d.a, d.tagsA)
		} else {
			d.tagsB, d.endB, err = d.read(d.b, d.tagsB)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *dealer) read(s correlate.Stream, tags []uint64) (all []uint64, end bool, err error) {
	n, err := s.Next(d.buf[:min(len(d.buf), d.most-len(tags))])
	if err == io.EOF {
		return tags, true, nil
	}
	return append(tags, d.buf[:n]...), false, err
}

// forget keeps the later half of the part, so that the next one is never too
// short to tell anything, and of the other record as much and an overlap. more
// says that there is a next one.
func (d *dealer) forget(overlap int64) (more bool) {
	if d.endA && d.endB {
		return false
	}
	longer, other := &d.tagsA, &d.tagsB
	if len(d.tagsB) > len(d.tagsA) {
		longer, other = other, longer
	}
	half := len(*longer) / 2
	cut := (*longer)[half] - uint64(overlap)
	*longer = append((*longer)[:0], (*longer)[half:]...)
	early, _ := slices.BinarySearchFunc(*other, cut, func(t, cut uint64) int { return cmp.Compare(int64(t-cut), 0) })
	early = max(early, len(*other)-d.most/2)
	*other = append((*other)[:0], (*other)[early:]...)
	return true
}

// joined makes one clock of those of the parts.
func joined(found []Alignment, refused []track.Gap) (Parts, error) {
	c := Parts{Alignment: found[len(found)/2], Count: len(found) + len(refused), Refused: refused}
	if c.Count == 1 {
		return c, nil
	}
	first, last := found[0], found[len(found)-1]
	c.Start, c.StartOffset, c.StartSD = first.Start, first.StartOffset, first.StartSD
	c.Overlap = int64(end(last) - first.Start)
	c.Pairs, c.Accidentals = 0, 0
	t := track.Track{Gaps: refused}
	if c.Track != nil { // what is not of the whole is of the part in the middle
		t = *c.Track
		t.Knots, t.Steps, t.Gaps, t.Pairs, t.Accidentals = nil, nil, refused, 0, 0
	}
	c.Track = &t
	var lines []correlate.Line
	from := first.Start
	for i, part := range found {
		to := end(part)
		if i+1 < len(found) {
			to = meeting(part, found[i+1])
		}
		if i > 0 {
			t.Steps = append(t.Steps, disagreement(found[i-1], part, from)...)
		}
		lines = appendLines(lines, part.Correction().Lines(), from)
		c.addPart(part, from, to)
		from = to
	}
	c.Wanders = len(t.Knots) > 0 // who reads the result follows its knots
	c.Warning = fmt.Sprintf("the record was aligned in %d parts; line, noise and Allan deviation are of the one in the middle", c.Count)
	var err error
	c.lines, err = correlate.NewCorrection(lines...)
	return c, err
}

func end(a Alignment) uint64 { return a.Start + uint64(a.Overlap) }

// meeting is where one part ends to count and the next begins: in the middle of
// what they share, because a track is best known away from its ends.
func meeting(before, after Alignment) uint64 {
	if shared := int64(end(before) - after.Start); shared > 0 {
		return after.Start + uint64(shared)/2
	}
	return after.Start
}

// addPart adds to the whole what a part shows of its time.
func (c *Parts) addPart(part Alignment, from, to uint64) {
	share := min(float64(int64(to-max(from, part.Start)))/float64(part.Overlap), 1)
	c.Pairs += int64(math.Round(share * float64(part.Pairs)))
	c.Accidentals += share * part.Accidentals
	if part.Track == nil {
		return
	}
	t := c.Track
	t.Pairs += share * part.Track.Pairs
	t.Accidentals += share * part.Track.Accidentals
	within := func(at uint64) bool { return int64(at-from) >= 0 && int64(at-to) < 0 }
	for _, k := range part.Track.Knots {
		if within(k.Time) {
			t.Knots = append(t.Knots, k)
		}
	}
	for _, s := range part.Track.Steps {
		if within(s.Time) {
			t.Steps = append(t.Steps, s)
		}
	}
	for _, g := range part.Track.Gaps {
		if within(g.From) {
			t.Gaps = append(t.Gaps, g)
		}
	}
}

// appendLines goes on with the lines of a part from a time on. Lines of the part
// before that begin no earlier, on either clock, are not needed any more.
func appendLines(lines, next []correlate.Line, from uint64) []correlate.Line {
	for i, l := range next {
		if i+1 < len(next) && int64(next[i+1].Reference-from) <= 0 {
			continue // another one holds by then
		}
		if int64(l.Reference-from) < 0 || len(next) == 1 {
			l = correlate.Line{Reference: from, Offset: l.OffsetAt(from), Frequency: l.Frequency}
		}
		for n := len(lines); n > 0; n = len(lines) {
			apart := int64(l.Reference - lines[n-1].Reference)
			if apart > 0 && apart+l.Offset-lines[n-1].Offset > 0 {
				break
			}
			lines = lines[:n-1]
		}
		lines = append(lines, l)
	}
	return lines
}

// disagreement is the jump between two parts where they meet; none where both
// tell the same.
func disagreement(before, after Alignment, at uint64) []track.Step {
	x, sdX := before.OffsetAt(at)
	y, sdY := after.OffsetAt(at)
	change, sd := y.Minus(x), math.Hypot(math.Hypot(sdX, sdY), 1)
	if math.Abs(change) <= jumpSDs*sd {
		return nil
	}
	return []track.Step{{Time: at, TimeSD: math.Abs(float64(int64(after.Start-at))) / math.Sqrt(12), Offset: change, OffsetSD: sd}}
}
