package align

import (
	"context"
	"math"

	"tsrun/pipeline/correlate"
)

// ManyParts is one clock of several channels through records of any length, which
// were aligned in parts.
type ManyParts struct {
	Parts
	Lead         int           // index of the pair of channels whose offset it is
	ChannelPairs []ChannelPair // of every channel of A with every channel of B
}

// AlignManyStreams is [AlignMany] for records of any length: where a node has more
// than [MaxTags] in all its channels they are aligned in parts, as [AlignStreams]
// does. Which pair leads the first part in which the clock is found tells.
func AlignManyStreams(ctx context.Context, a, b []correlate.Stream, o Options) (ManyParts, error) {
	return alignManyParts(ctx, a, b, o, MaxTags)
}

func alignManyParts(ctx context.Context, a, b []correlate.Stream, o Options, most int) (ManyParts, error) {
	if err := o.Check(); err != nil {
		return ManyParts{}, err
	}
	if err := checkChannels(len(a), len(b)); err != nil {
		return ManyParts{}, err
	}
	m := &manyChain{tags: newGathered(a, b, most)}
	defer m.tags.release()
	m.chain = chain{ctx: ctx, options: o, alone: m.alone, after: m.follow}
	for more := true; more; {
		if err := m.tags.fill(); err != nil {
			return ManyParts{}, err
		}
		m.a, m.b = m.tags.part()
		found, err := m.chain.add(firstAndLast(m.a), nil)
		if err != nil {
			return ManyParts{}, err
		}
		share := 2
		if found {
			share = keptOf
		}
		more = m.tags.forget(2*m.chain.search().Search, share)
	}
	if len(m.found) == 0 {
		return ManyParts{}, m.chain.why
	}
	parts, err := joined(m.chain.found, m.chain.refused)
	return ManyParts{Parts: parts, Lead: m.found[0].Lead, ChannelPairs: m.channelPairs()}, err
}

// manyChain aligns part after part of several channels. Of a part the chain is
// given A's first and last time; the channels of the part lie beside it.
type manyChain struct {
	chain chain
	tags  *gathered
	a, b  [][]uint64 // of the present part
	found []Channels
}

// firstAndLast are the times of the first and of the last tag of channels.
func firstAndLast(channels [][]uint64) (ends []uint64) {
	for _, tags := range channels {
		if len(tags) == 0 {
			continue
		}
		first, last := tags[0], tags[len(tags)-1]
		if ends == nil {
			ends = []uint64{first, last}
		}
		if int64(first-ends[0]) < 0 {
			ends[0] = first
		}
		if int64(last-ends[1]) > 0 {
			ends[1] = last
		}
	}
	return ends
}

// alone aligns a part of which nothing is known but, after the first, the pair of
// channels that leads.
func (m *manyChain) alone(ctx context.Context, _, _ []uint64, o Options) (Alignment, error) {
	all := &many{ctx: ctx, options: o, a: m.a, b: m.b}
	if err := all.prepare(); err != nil {
		return Alignment{}, err
	}
	if len(m.found) == 0 {
		lead, err := all.lead()
		if err != nil {
			return Alignment{}, err
		}
		return m.together(all, lead)
	}
	a, b := m.leads()
	r, err := Align(ctx, m.a[a], m.b[b], o)
	if err != nil {
		return Alignment{}, err
	}
	return m.together(all, leading{a, b, r})
}

// follow follows the clock on with the pair of channels that leads.
func (m *manyChain) follow(c *chain, ends, _ []uint64, before Alignment) (Alignment, error) {
	l := before.leadsInto(ends[0], ends[1])
	all := &many{ctx: c.ctx, options: c.search().about(l), a: m.a, b: m.b}
	if err := all.prepare(); err != nil {
		return Alignment{}, err
	}
	a, b := m.leads()
	s := all.at(a, b)
	if s == nil {
		return Alignment{}, &Refusal{Code: codeFewTags, Reason: "the pair of channels that shows the most has hardly any tags in a part of the record",
			Hint: "check that both channels count all the time"}
	}
	r, err := s.settleFrom(l)
	if err != nil {
		return Alignment{}, err
	}
	return m.together(all, leading{a, b, r})
}

func (m *manyChain) leads() (a, b int) {
	lead := m.found[0].Lead
	return lead / len(m.b), lead % len(m.b)
}

func (m *manyChain) together(all *many, lead leading) (Alignment, error) {
	r, err := all.together(lead)
	if err == nil {
		m.found = append(m.found, r)
	}
	return r.Alignment, err
}

// channelPairs is what all parts say of the pairs of channels, each of its own time.
func (m *manyChain) channelPairs() []ChannelPair {
	if len(m.found) == 1 {
		return m.found[0].ChannelPairs
	}
	all := make([]ChannelPair, len(m.found[0].ChannelPairs))
	for n := range all {
		sum := manyPairs{ChannelPair: m.found[0].ChannelPairs[n]}
		sum.Correlated = false
		for i, part := range m.found {
			sum.add(part.ChannelPairs[n], part.share(ownTime(m.chain.found, i)))
		}
		all[n] = sum.whole()
	}
	return all
}

// manyPairs adds up what parts say of one pair of channels.
type manyPairs struct {
	ChannelPair
	pairs, weight, delay, jitter, evidence, chance float64
}

func (s *manyPairs) add(p ChannelPair, share float64) {
	if !p.Correlated {
		s.chance = max(s.chance, p.Significance)
		return
	}
	pairs, weight := share*float64(p.Pairs), share/(p.DelaySD*p.DelaySD)
	s.Correlated = true
	s.pairs, s.weight = s.pairs+pairs, s.weight+weight
	s.delay, s.jitter = s.delay+weight*p.Delay, s.jitter+pairs*p.Jitter*p.Jitter
	s.evidence += share * p.Significance * p.Significance
}

func (s *manyPairs) whole() ChannelPair {
	p := ChannelPair{A: s.A, B: s.B, Correlated: s.Correlated, Significance: s.chance}
	if s.Correlated {
		p.Delay, p.DelaySD, p.Significance = s.delay/s.weight, 1/math.Sqrt(s.weight), math.Sqrt(s.evidence)
		p.Pairs, p.Jitter = int64(math.Round(s.pairs)), math.Sqrt(s.jitter/s.pairs)
	}
	return p
}
