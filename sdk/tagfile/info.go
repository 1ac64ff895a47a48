package tagfile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"tsrun/sdk/tag"
)

// Info says what a file holds.
type Info struct {
	Format     string        `json:"format"`
	Size       int64         `json:"bytes"`
	Resolution float64       `json:"resolution_ps"` // the finest step of time the file can tell, ps; 0, in JSON null: unknown
	Channels   []ChannelInfo `json:"channels"`      // by number; none when only reading the file could tell
	// Violations counts the tags that are before a tag written earlier, of
	// whatever channel; Farthest is by how much at most.
	Violations uint64 `json:"order_violations"`
	Farthest   uint64 `json:"farthest_back_ps"`
	// Pause is the longest time between two successive tags, and PauseFrom
	// where it begins; 0, in JSON null, where there are no two, all are of one
	// moment, or the tags were counted without reading them.
	Pause     uint64 `json:"longest_pause_ps"`
	PauseFrom uint64 `json:"pause_from_ps"`
	Facts     []Fact `json:"facts"` // what the file says beside tags
	// Damage is there when a file that was read to the end, or salvaged, is
	// damaged.
	Damage *Damage `json:"damage,omitempty"`
	// Raised is what was added to all times above, 0 or [Raise], because some
	// are below 0; [Info.Moment] shows them, and JSON holds them, as they are.
	Raised uint64 `json:"-"`
}

// MarshalJSON writes times as they are in the file, and no lists as [].
func (i Info) MarshalJSON() ([]byte, error) {
	type channel struct {
		Channel int        `json:"channel"`
		Tags    uint64     `json:"tags"`
		First   tag.Moment `json:"first_ps"`
		Last    tag.Moment `json:"last_ps"`
	}
	channels := []channel{}
	for _, c := range i.Channels {
		channels = append(channels, channel{c.Channel, c.Tags, i.Moment(c.First), i.Moment(c.Last)})
	}
	var pause *uint64
	var pauseFrom *tag.Moment
	if i.Pause > 0 {
		from := i.Moment(i.PauseFrom)
		pause, pauseFrom = &i.Pause, &from
	}
	var resolution *float64
	if i.Resolution > 0 {
		resolution = &i.Resolution
	}
	return json.Marshal(struct {
		Format     string      `json:"format"`
		Size       int64       `json:"bytes"`
		Resolution *float64    `json:"resolution_ps"`
		Channels   []channel   `json:"channels"`
		Violations uint64      `json:"order_violations"`
		Farthest   uint64      `json:"farthest_back_ps"`
		Pause      *uint64     `json:"longest_pause_ps"`
		PauseFrom  *tag.Moment `json:"pause_from_ps"`
		Facts      []Fact      `json:"facts"`
		Damage     *Damage     `json:"damage,omitempty"`
	}{i.Format, i.Size, resolution, channels, i.Violations, i.Farthest, pause, pauseFrom, append([]Fact{}, i.Facts...), i.Damage})
}

// Fact is one kind of thing that a file says beside its tags.
type Fact struct {
	Kind  FactKind `json:"kind"`
	Count uint64   `json:"count"`
	First string   `json:"first"` // where it is first: "record 6"
	// Lost is how many tags it says are missing; 0 where it does not say.
	Lost uint64 `json:"lost,omitempty"`
	// Inputs are those that markers are of, by name with how many: "m1 5, m2 7".
	Inputs string `json:"inputs,omitempty"`
	// Says is what is remarkable of the file as a whole; such a fact has no First.
	Says string `json:"says,omitempty"`
}

// FactKind is what a [Fact] is about.
type FactKind string

// The kinds of facts.
const (
	Wraps     FactKind = "wraps"     // the counter of time began again from 0; times go on
	Markers   FactKind = "markers"   // signals from outside that are no tags
	Dummies   FactKind = "dummies"   // records the instrument makes to keep time, with no detection
	Overflows FactKind = "overflows" // the instrument lost tags because it was too slow
	Missed    FactKind = "missed"    // tags the instrument says it missed
	Faults    FactKind = "faults"    // errors of the clock or the instrument
	Unknown   FactKind = "unknown"   // records whose meaning is not known
	Beyond    FactKind = "beyond"    // tags later after a sync than the next sync
	// References are events of a reference input, from each of which times count.
	References FactKind = "references"
	Remarks    FactKind = "remark" // the file contradicts itself, or ends in a strange way
)

// ChannelInfo says what a file holds of one channel.
type ChannelInfo struct {
	Channel int    `json:"channel"`
	Tags    uint64 `json:"tags"`
	First   uint64 `json:"first_ps"` // earliest, ps; 0 when Tags is 0
	Last    uint64 `json:"last_ps"`  // latest, ps; 0 when Tags is 0
}

// Tags returns the number of tags of all channels.
func (i Info) Tags() uint64 {
	n := uint64(0)
	for _, c := range i.Channels {
		n += c.Tags
	}
	return n
}

// factBook collects the facts of a source.
type factBook struct{ known []Fact }

// note adds one occurrence; place is called for the first of its kind.
func (s *factBook) note(kind FactKind, lost uint64, place func() string) {
	for i := range s.known {
		if s.known[i].Kind == kind {
			s.known[i].Count++
			s.known[i].Lost += lost
			return
		}
	}
	s.known = append(s.known, Fact{Kind: kind, Count: 1, First: place(), Lost: lost})
}

// remark adds something that is remarkable of the file as a whole.
func (s *factBook) remark(format string, args ...any) {
	s.known = append(s.known, Fact{Kind: Remarks, Count: 1, Says: fmt.Sprintf(format, args...)})
}

func (s *factBook) facts() []Fact { return s.known }

// tally builds an Info from tags in file order.
type tally struct {
	info   Info
	latest uint64
	before uint64 // the previous tag in the file
	any    bool
	nth    map[int]int // channel → index in info.Channels
	last   int         // index of the previous tag's channel
}

// add returns the index of the tag's channel in the order of first appearance.
func (y *tally) add(channel int, t uint64) int {
	switch {
	case !y.any:
		y.latest = t
	case t >= y.latest:
		if pause := t - y.latest; pause > y.info.Pause {
			y.info.Pause, y.info.PauseFrom = pause, y.latest
		}
		y.latest = t
	default:
		y.info.Farthest = max(y.info.Farthest, y.latest-t)
	}
	if y.any && t < y.before {
		y.info.Violations++
	}
	if !y.any || y.info.Channels[y.last].Channel != channel {
		y.last = y.find(channel, t)
	}
	y.before, y.any = t, true
	c := &y.info.Channels[y.last]
	c.Tags++
	c.First, c.Last = min(c.First, t), max(c.Last, t)
	return y.last
}

// addAll adds tags of one channel. Those in order, as nearly all are, take little.
func (y *tally) addAll(channel int, tags []uint64) {
	for len(tags) > 0 {
		y.add(channel, tags[0])
		tags = tags[1:]
		n, latest, pause, from := 0, y.latest, y.info.Pause, y.info.PauseFrom
		for look := 0; n < len(tags) && tags[n] >= latest; n++ {
			if n == look {
				if n += tag.InStep(latest, tags[n:], pause); n > look {
					latest = tags[n-1]
				}
				if look = n + tag.AtOnce; n == len(tags) || tags[n] < latest {
					break
				}
			}
			if wait := tags[n] - latest; wait > pause {
				pause, from = wait, latest
			}
			latest = tags[n]
		}
		if n > 0 {
			y.latest, y.before, y.info.Pause, y.info.PauseFrom = latest, latest, pause, from
			c := &y.info.Channels[y.last]
			c.Tags, c.Last = c.Tags+uint64(n), max(c.Last, latest)
		}
		tags = tags[n:]
	}
}

func (y *tally) find(channel int, t uint64) int {
	const few = 8
	for i := range min(few, len(y.info.Channels)) {
		if y.info.Channels[i].Channel == channel {
			return i
		}
	}
	i, known := y.nth[channel]
	if !known {
		if y.nth == nil {
			y.nth = map[int]int{}
		}
		i = len(y.info.Channels)
		y.nth[channel] = i
		y.info.Channels = append(y.info.Channels, ChannelInfo{Channel: channel, First: t, Last: t})
	}
	return i
}

// done returns the Info as it is now, with the facts of a source.
func (y *tally) done(of []Fact) Info {
	info := y.info
	info.Channels = slices.Clone(info.Channels)
	slices.SortFunc(info.Channels, func(a, b ChannelInfo) int { return cmp.Compare(a.Channel, b.Channel) })
	info.Facts = slices.Clone(of)
	return info
}
