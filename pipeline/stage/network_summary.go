package stage

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tsrun/pipeline/mesh"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// NetworkSummary is how the clocks of several controllers were found together: what each
// pair says, and how well they agree.
type NetworkSummary struct {
	Channels  []string       `json:"channels"` // the reference's first
	Pairs     []NetworkPair  `json:"pairs"`
	Cycles    []NetworkCycle `json:"cycles,omitempty"` // that are independent of each other
	Jumps     []NetworkJump  `json:"jumps,omitempty"`
	ChiSquare float64        `json:"chi_square"` // of the pairs about the clocks
	Freedom   int            `json:"freedom"`
	Widened   float64        `json:"widened"` // by which all deviations were multiplied
	Shared    bool           `json:"shared"`  // because the pairs seem to share photons
	// The covariance of the errors of the channels, each with each.
	Offsets     [][]float64 `json:"offset_covariance_ps2"`
	Mixed       [][]float64 `json:"offset_frequency_covariance_ps_ppb"`
	Frequencies [][]float64 `json:"frequency_covariance_ppb2"`
}

// NetworkPair is what two channels say of each other: target minus reference.
type NetworkPair struct {
	Reference   string         `json:"reference"`
	Target      string         `json:"target"`
	Refused     bool           `json:"refused"`
	Code        string         `json:"code,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	Offset      *quantity.Fine `json:"offset_ps"` // at the moment of the solution
	OffsetSD    float64        `json:"offset_sd_ps"`
	Frequency   float64        `json:"frequency_ppb"`
	FrequencySD float64        `json:"frequency_sd_ppb"`
	Pairs       int64          `json:"pairs"`
	Residual    float64        `json:"residual_ps"` // beside what all pairs make of it
	Pull        float64        `json:"pull"`        // in its deviations; 0 where no other pair can tell
	LeftOut     bool           `json:"left_out,omitempty"`
	Suspect     bool           `json:"suspect,omitempty"`
}

// MarshalJSON writes null for the numbers of a pair that was not found.
func (p NetworkPair) MarshalJSON() ([]byte, error) {
	type found NetworkPair
	if !p.Refused {
		return json.Marshal(found(p))
	}
	// The outer fields are written in place of those of the same names.
	return json.Marshal(struct {
		found
		OffsetSD    *float64 `json:"offset_sd_ps"`
		Frequency   *float64 `json:"frequency_ppb"`
		FrequencySD *float64 `json:"frequency_sd_ppb"`
		Pairs       *int64   `json:"pairs"`
		Residual    *float64 `json:"residual_ps"`
		Pull        *float64 `json:"pull"`
	}{found: found(p)})
}

// NetworkCycle is a way round, which should sum to nothing.
type NetworkCycle struct {
	Channels    []string `json:"channels"`
	Offset      float64  `json:"offset_ps"`
	OffsetSD    float64  `json:"offset_sd_ps"`
	Frequency   float64  `json:"frequency_ppb"`
	FrequencySD float64  `json:"frequency_sd_ppb"`
	Closes      bool     `json:"closes"`
}

// NetworkJump is a jump of one clock, as its pairs show it.
type NetworkJump struct {
	Channel    string   `json:"channel,omitempty"`    // whose clock it is
	Candidates []string `json:"candidates,omitempty"` // of which one it is, where nothing tells which
	Time       uint64   `json:"time_ps"`              // on the reference's clock
	TimeSD     float64  `json:"time_sd_ps"`
	Offset     float64  `json:"offset_ps"` // by which it jumped; of the first candidate, where there are several
	OffsetSD   float64  `json:"offset_sd_ps"`

	Frequency   float64 `json:"frequency_ppb,omitempty"`
	FrequencySD float64 `json:"frequency_sd_ppb,omitempty"`
	Pairs       int     `json:"pairs"` // of channels, that saw it
}

// summary tells how the clocks were found.
func (n *network) summary() *NetworkSummary {
	s := &NetworkSummary{Channels: n.names, ChiSquare: n.middle.ChiSquare, Freedom: n.middle.Freedom, Widened: n.middle.Widened, Shared: n.shared}
	for _, p := range n.pairs {
		q := NetworkPair{Reference: n.names[p.a], Target: n.names[p.b], Refused: p.said.Refused, Code: p.said.Code, Reason: p.said.Reason}
		if !p.said.Refused {
			r := n.middle.Pairs[slices.Index(n.good, p)]
			at := n.at
			if k, reached := n.reading(p.a); reached {
				at = k.Inverse().Apply(at)
			}
			offset, spread := offsetOf(p, at), n.spread(p, at)
			q.Offset, q.OffsetSD, q.Frequency, q.FrequencySD = &offset, spread.OffsetSD, n.frequency(p), spread.FrequencySD*1e9
			q.Pairs, q.Residual, q.Pull, q.LeftOut, q.Suspect = p.Pairs, r.Offset, r.Pull, r.LeftOut, r.Suspect
		}
		s.Pairs = append(s.Pairs, q)
	}
	for _, c := range n.middle.Cycles {
		s.Cycles = append(s.Cycles, NetworkCycle{n.named(c.Clocks), c.Offset, c.OffsetSD, c.Frequency * 1e9, c.FrequencySD * 1e9, c.Closes()})
	}
	for i := range n.names {
		var offsets, mixed, frequencies []float64
		for k := range n.names {
			xx, xy, yy := n.middle.Covariance(i, k)
			offsets, mixed, frequencies = append(offsets, xx), append(mixed, xy*1e9), append(frequencies, yy*1e18)
		}
		s.Offsets, s.Mixed, s.Frequencies = append(s.Offsets, offsets), append(s.Mixed, mixed), append(s.Frequencies, frequencies)
	}
	s.Jumps = append(n.jumps(false), n.jumps(true)...)
	return s
}

func (n *network) named(clocks []int) (names []string) {
	for _, i := range clocks {
		names = append(names, n.names[i])
	}
	return names
}

// jumps says whose clock jumped, in offset or, with turns, in frequency.
func (n *network) jumps(turns bool) (jumps []NetworkJump) {
	var watched []mesh.Watch
	var seen []mesh.Seen
	for _, p := range n.good {
		k, reached := n.reading(p.a)
		if p.Track == nil || !reached {
			continue
		}
		for _, s := range p.Track.Steps {
			at := mesh.Seen{Pair: len(watched), At: int64(k.Apply(s.Time)), AtSD: s.TimeSD, Size: s.Offset, SizeSD: s.OffsetSD}
			if turns {
				at.Size, at.SizeSD = s.Frequency, s.FrequencySD
			}
			if turns && s.Turns() || !turns && s.Moves() {
				seen = append(seen, at)
			}
		}
		watched = append(watched, mesh.Watch{A: p.a, B: p.b, From: int64(k.Apply(p.Start)), To: int64(k.Apply(p.Start + uint64(p.Overlap)))})
	}
	for _, j := range mesh.Blame(len(n.names), watched, seen) {
		s := NetworkJump{Time: uint64(j.At), TimeSD: j.AtSD, Pairs: len(j.Pairs)}
		if s.Candidates = n.named(j.Of); j.Clock >= 0 {
			s.Channel, s.Candidates = n.names[j.Clock], nil
		}
		if turns {
			s.Frequency, s.FrequencySD = j.Size, j.SizeSD
		} else {
			s.Offset, s.OffsetSD = j.Size, j.SizeSD
		}
		jumps = append(jumps, s)
	}
	return jumps
}

// networkWords say what was found of all clocks, and how well they agree.
func networkWords(say Say, s AlignSummary) {
	for _, c := range s.Clocks {
		if c.Refused {
			say("no clock of %s against %s: %s", c.Target, c.Reference, c.Reason)
			continue
		}
		via := ""
		if len(c.Via) > 0 {
			via = ", through " + strings.Join(c.Via, ", ")
		}
		say("%s - %s = %s at %s%s", c.Target, c.Reference, text.Measured(c.Alignment.Offset.Float(), c.OffsetSDPs, "ps"), text.Seconds(c.ReferencePs), via)
		say("%s", paceWords(c.Target, c.FrequencyPpb, c.FrequencySDPpb))
	}
	for _, c := range s.Network.Cycles {
		closes := "closes"
		if !c.Closes {
			closes = "does NOT close"
		}
		say("round %s: %s, which %s", strings.Join(c.Channels, ", "), text.Measured(c.Offset, c.OffsetSD, "ps"), closes)
	}
	for _, p := range s.Network.Pairs {
		if p.LeftOut {
			say("%s - %s is left out: all others contradict it", p.Target, p.Reference)
		}
	}
	for _, j := range s.Network.Jumps {
		say("%s", j.words())
	}
	if s.Network.Shared {
		say("%s", fmt.Sprintf("ways round close far better than pairs with photons of their own would: deviations are %.3g times wider, as if each clock were known by its best pairs alone", s.Network.Widened))
	} else if s.Network.Widened > 1 {
		say("%s", fmt.Sprintf("pairs contradict each other: all deviations are %.3g times wider for it", s.Network.Widened))
	}
}
