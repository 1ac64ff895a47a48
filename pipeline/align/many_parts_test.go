package align

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

func streams(channels [][]uint64) (all []correlate.Stream) {
	for _, tags := range channels {
		all = append(all, tag.NewReader(tags))
	}
	return all
}

// Several channels that are aligned in parts give one clock and one delay of each
// pair, as those of a record in one piece, also where one channel counts rarely.
func TestAlignManyInParts(t *testing.T) {
	e := pairs.Experiment{Seconds: 6, SinglesA: 30e3, SinglesB: 33e3, Frequency: 3e-7, DelaysA: []float64{0, 3_000}, DelaysB: []float64{0, -7_500}, Seed: 5}
	a, b, truth := e.MakeDetectors()
	var rare []uint64
	for i := 0; i < len(a[0]); i += 1000 {
		rare = append(rare, a[0][i]+1_000_000_000)
	}
	a = append(a, rare)
	found, err := alignManyParts(t.Context(), streams(a), streams(b), partPrior, 60_000)
	if err != nil {
		t.Fatal(err)
	}
	if found.Count < 3 || len(found.Refused) > 0 || len(found.Track.Steps) > 0 || found.Warning == "" {
		t.Errorf("%d parts, refused %+v, steps %+v, warning %q", found.Count, found.Refused, found.Track.Steps, found.Warning)
	}
	lead := found.ChannelPairs[found.Lead]
	ofLead := truth.DelaysB[lead.B] - truth.DelaysA[lead.A]
	var all int64
	for _, p := range found.ChannelPairs {
		if p.Correlated != (p.A < 2) {
			t.Fatalf("channels %d and %d: %+v", p.A, p.B, p)
		}
		if p.A == 2 {
			continue
		}
		want := truth.DelaysB[p.B] - truth.DelaysA[p.A] - ofLead
		if off := p.Delay - want; math.Abs(off) > 4*math.Hypot(p.DelaySD, lead.DelaySD) || p.Significance < 10 {
			t.Errorf("channels %d and %d: off by %.2f ps, sd %.2f, %.3g deviations", p.A, p.B, off, p.DelaySD, p.Significance)
		}
		all += p.Pairs
	}
	if n := float64(truth.Recorded); math.Abs(float64(all)-n) > 0.1*n {
		t.Errorf("%d pairs of %d", all, truth.Recorded)
	}
	k := found.Correction()
	for _, part := range []int64{1, 33, 50, 77, 99} {
		at := found.Start + uint64(found.Overlap/100*part)
		want := truth.OffsetAt(at).Plus(ofLead)
		x, sd := found.OffsetAt(at)
		if off := x.Minus(want); math.Abs(off) > 5*sd+5 || sd > 30 {
			t.Errorf("after %d %%: off by %.1f ps, sd %.1f", part, off, sd)
		}
		if off := int64(k.Apply(at+uint64(want.Whole)) - at); off > 60 || off < -60 {
			t.Errorf("after %d %%: the correction is off by %d ps", part, off)
		}
	}
}

// What fits is aligned in one part, and then nothing is other than of tags in memory.
func TestAlignManyInOnePart(t *testing.T) {
	e := pairs.Experiment{Seconds: 1, Frequency: 1e-7, DelaysA: []float64{0, 3_000}, DelaysB: []float64{0, -7_500, 900}, Seed: 6}
	a, b, _ := e.MakeDetectors()
	a[0] = append([]uint64{a[0][0]}, a[0]...) // one time twice
	o := Options{Search: DefaultSearch, MaxDrift: DefaultMaxDrift}
	want, err := AlignMany(t.Context(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := AlignManyStreams(t.Context(), streams(a), streams(b), o)
	if err != nil || got.Count != 1 || got.Lead != want.Lead || !reflect.DeepEqual(got.Alignment, want.Alignment) || !reflect.DeepEqual(got.ChannelPairs, want.ChannelPairs) {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
}

// A part without pairs is named, and the parts around it are one clock.
func TestAlignManyInPartsNotFound(t *testing.T) {
	e := pairs.Experiment{Seconds: 6, SinglesA: 30e3, SinglesB: 30e3, DelaysB: []float64{0, 2_000}, Seed: 7, NoPairs: []pairs.Span{{From: 0, To: 2.5}}}
	a, b, truth := e.MakeDetectors()
	found, err := alignManyParts(t.Context(), streams(a), streams(b), Options{Search: 13_000_000_000, MaxDrift: 1_000_000_000, Brief: true}, 30_000)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Refused) == 0 || len(found.ChannelPairs) != 2 {
		t.Errorf("refused %+v, pairs %+v", found.Refused, found.ChannelPairs)
	}
	at := found.Start + uint64(found.Overlap)/100*95
	lead := found.ChannelPairs[found.Lead]
	if x, sd := found.OffsetAt(at); math.Abs(x.Minus(truth.OffsetAt(at).Plus(truth.DelaysB[lead.B]))) > 5*sd+5 {
		t.Errorf("off by %.1f ps", x.Minus(truth.OffsetAt(at)))
	}
}

func TestAlignManyInPartsRefuses(t *testing.T) {
	dark := [][]uint64{{1, 2, 3}, nil}
	var refusal *Refusal
	if _, err := AlignManyStreams(t.Context(), streams(dark), streams(dark), partPrior); !errors.As(err, &refusal) || refusal.Code != "few-tags" {
		t.Errorf("hardly any tags: %v", err)
	}
	if _, err := AlignManyStreams(t.Context(), nil, streams(dark), partPrior); err == nil {
		t.Error("no channel at all is accepted")
	}
	var order *correlate.OrderError
	if _, err := AlignManyStreams(t.Context(), streams([][]uint64{{1, 2}, {5, 4}}), streams(dark), partPrior); !errors.As(err, &order) || order.Index != 1 {
		t.Errorf("a tag out of order: %v", err)
	}
}

// What is merged is in order, once, without tags from before the time began.
func TestMerged(t *testing.T) {
	for _, c := range []struct {
		channels [][]uint64
		delays   []float64
		want     []uint64
	}{
		{[][]uint64{{1, 5, 9}, {1, 4, 9, 10}, nil}, nil, []uint64{1, 4, 5, 9, 10}},
		{[][]uint64{{1, 5, 9}, {1, 4, 9, 10}}, []float64{2.4, -1}, []uint64{2, 3, 5, 7, 10, 11}},
		{[][]uint64{{1, 5, 9}, {1, 4}}, []float64{0, math.NaN()}, []uint64{1, 5, 9}},
		{nil, nil, nil},
	} {
		got := merged(c.channels, c.delays)
		if len(got.tags) != len(c.want) || len(c.want) > 0 && !reflect.DeepEqual(got.tags, c.want) {
			t.Errorf("%v by %v: %v, want %v", c.channels, c.delays, got.tags, c.want)
		}
		got.release()
	}
	long := make([]uint64, 2*mergedAtOnce+7)
	for i := range long {
		long[i] = uint64(i) / 2 * 3
	}
	if got := merged([][]uint64{long, long}, nil); len(got.tags) != len(long)/2+1 {
		t.Errorf("%d tags of %d different ones", len(got.tags), len(long)/2+1)
	}
}
