package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// deadSource are pairs of constant light that two detectors see which are dead after each
// tag: of 30 ns to 3 us, and that see 2 to 60 % of the events.
func deadSource(seed uint64) sourceOfPairs {
	rng := rand.New(rand.NewPCG(seed, 44))
	dead := 3e4 * math.Exp(rng.Float64()*math.Log(100)) // ps
	see := 0.02 * math.Exp(rng.Float64()*math.Log(30))
	come := min(4e5, 0.02e12/dead) // per second that would be seen without dead times
	s := sourceOfPairs{window: int64(min(dead/2, 1000*math.Exp(rng.Float64()*math.Log(40))))}
	const tags, noise = 6e4, 0.15
	seconds := tags / come
	events := come * (1 - noise) / see
	// Which are live: see docs/why/correlation.md. Of so few tags in a dead time, the next order is no matter.
	seen := come / (1 + come*dead*1e-12)
	live := seen / come
	both := live * live * (1 + events*see*see*dead*1e-12*(1-2*come*dead*1e-12))
	s.pairs = events * see * see * both * seconds
	s.singlesB = seen * seconds
	s.accidental = (come*come*both - events*see*see*both*come) * seconds * float64(s.window/2*2+1) * 1e-12
	s.play = func(seed uint64) [][]uint64 {
		rng := rand.New(rand.NewPCG(seed, 45))
		var at [2][]float64
		for t := rng.ExpFloat64() / events; t < seconds; t += rng.ExpFloat64() / events {
			for i := range at {
				if rng.Float64() < see {
					at[i] = append(at[i], t*1e12+50*rng.Float64())
				}
			}
		}
		var channels [][]uint64
		for _, times := range at {
			for t := 0.0; t < seconds; t += rng.ExpFloat64() / (come * noise) {
				times = append(times, t*1e12)
			}
			slices.Sort(times)
			channels = append(channels, liveOf(times, dead))
		}
		return channels
	}
	return s
}

// liveOf leaves out what comes within a dead time of a tag.
func liveOf(times []float64, dead float64) (tags []uint64) {
	last := math.Inf(-1)
	for _, t := range times {
		if t-last >= dead {
			tags, last = append(tags, uint64(t)+1e12), t
		}
	}
	return tags
}

// blinkingSource are pairs and other light of one source that is on and off at random, both
// for 1 to 8 us in the mean, so that there is twice as much chance at zero as far away.
func blinkingSource(seed uint64) sourceOfPairs {
	return blinking(seed, 2)
}

// blinkingTriples are events of three channels in such light.
func blinkingTriples(seed uint64) sourceOfPairs {
	return blinking(seed, 3)
}

// blinking is such a source, of two channels or three.
func blinking(seed uint64, channels int) (s sourceOfPairs) {
	rng := rand.New(rand.NewPCG(seed, 46))
	on := 1e6 * math.Exp(rng.Float64()*math.Log(8))
	const seconds, events, see = 0.4, 5e5, 0.3 // of all time; per second while it is on; that a channel sees
	s.window = 4000 + rng.Int64N(16_000)
	// of two events in a window and all that each channel sees, over time that is on
	s.singlesB = events * see * seconds / 2
	w := float64(s.window/2*2+1) * 1e-12
	a := events * see
	switch channels {
	case 2:
		s.pairs = events * see * see * seconds / 2
		s.accidental = a * a * w * seconds / 2
	case 3:
		s.pairs = events * see * see * see * seconds / 2
		// a pair of one event and a third tag within half a window of both; three that are by chance in a window
		s.accidental = (3*events*see*see*a*w + a*a*a*w*w*3/4) * seconds / 2
		s.singlesB = events * see * see * seconds / 2 // what heralds is of two channels
	}
	s.play = func(seed uint64) [][]uint64 {
		rng := rand.New(rand.NewPCG(seed, 47))
		all := make([][]uint64, channels)
		for t := 0.0; t < seconds*1e12; t += rng.ExpFloat64() * on {
			until := t + rng.ExpFloat64()*on
			for u := t + rng.ExpFloat64()/events*1e12; u < until; u += rng.ExpFloat64() / events * 1e12 {
				for i := range all {
					if rng.Float64() < see {
						all[i] = append(all[i], uint64(u)+1e12)
					}
				}
			}
			t = until
		}
		return all
	}
	return s
}
