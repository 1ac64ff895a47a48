package correlate

import (
	"math"
	"math/bits"
)

// blindness is for what part of half a window after a tag its detector sees nothing: 1
// of a dead time that is longer. It is not known where too few tags would have come there.
type blindness struct {
	part, sd float64
	known    bool
	dead     float64 // ps: the dead time, about
	repeated float64 // the part of the tags that another one follows within half a window beyond chance; 0: not certain
}

const (
	enoughBlind = 30  // tags that would have come by chance, to tell that none did
	fewBlind    = 0.1 // of them, that may come in a dead time, such as by noise of the electronics

	clearlyBlind   = 2.5 // standard deviations of chance, below which steady light shows nothing
	certainlyBlind = 4.5 // standard deviations by which tags that follow are fewer or more than chance has them
)

// look compares how many tags of a channel follow one another within half a window
// with how many do where they are moved for chance, so that light that is pulsed is no dead
// time. Where half a window is too short to tell, a longer dead time does. Steady light, which
// shows neither, needs not be moved: its rate says what chance is.
func (b *blindness) look(tags []uint64, at places, half int64, steady bool) {
	if len(tags) < 2 || half < 1 {
		return
	}
	near := following(tags, half)
	if length := float64(tags[len(tags)-1] - tags[0]); steady && b.dead == 0 && length > 0 {
		due := float64(len(tags)) * float64(len(tags)) / length * float64(half)
		if due >= enoughBlind && math.Abs(near-due) < clearlyBlind*math.Sqrt(due) {
			b.known, b.sd = true, math.Sqrt(near+fewCounted)/due
			return
		}
	}
	due, n := followers(tags, at, half)
	if due >= enoughBlind {
		b.known, b.sd = true, math.Sqrt(near+fewCounted+near*near/(6*due))/due
		switch chance := certainlyBlind * math.Sqrt(due*(1+due/n)); {
		case near-due > chance:
			b.repeated = (near - due) / float64(len(tags))
		case due-near > chance:
			b.part = 1 - near/due
		}
		return
	}
	if dead := int64(b.dead); dead > half {
		near = following(tags, dead)
		if due, _ = followers(tags, at, dead); due >= enoughBlind && near < 2*fewBlind*due {
			b.known, b.part, b.sd = true, 1, (near+1)/due
		}
	}
}

// followers is how many tags chance would have follow another one within so many ps: what
// follows there once moved, which n tags tell.
func followers(tags []uint64, at places, within int64) (due, n float64) {
	length := float64(tags[len(tags)-1] - tags[0])
	left := func(by float64) float64 { return length - by } // of the record, where a tag so much later may be
	windows := 0.0
	for _, by := range at[shiftsEachSide+2:] {
		if by <= within || left(float64(by+within)) < length/2 {
			continue
		}
		n += between(tags, by-within, by+within)
		windows += 2 * left(float64(by)) / left(float64(within)/2)
	}
	if windows == 0 {
		return 0, 0
	}
	return n / windows, n
}

// following counts the tags that follow each other one within so many ps.
func following(tags []uint64, within int64) (n float64) {
	last := 0
	for i, t := range tags {
		for last < len(tags) && tags[last]-t <= uint64(within) {
			last++
		}
		n += float64(last - i - 1)
	}
	return n
}

// withoutSeen takes from the accidentals of two channels those that dead times let none
// see. Of two events within a window, the detector that saw one is blind for the other: a
// tag of A meets a later one of B by chance only where B did not see A's event, and the
// other way round. Where channels are moved it meets all. Where it is not known whether
// detectors are blind so soon, the deviations hold both.
//
// Detectors that saw the same events are blind together, which makes chance near zero more
// again, in bright light.
func (y *yield) withoutSeen(blind [2]blindness, e exposure) {
	a, b := e.tags[0], e.tags[1]
	time := e.whole()
	if !(y.accidentals > 0) || !(y.net > 0) || !(time > 0) || a < 1 || b < 1 {
		return
	}
	seen, unsure := 0.0, 0.0
	for i, by := range blind { // the blind one is the later one half of the time
		part := min(1, y.net/e.tags[1-i]) / 2
		switch {
		case by.known:
			seen += part * by.part
			unsure = math.Hypot(unsure, part*by.sd)
		default:
			unsure += part / 3
		}
	}
	together := 0.0
	if liveA, liveB := 1-a/time*blind[0].dead, 1-b/time*blind[1].dead; liveA > 0 && liveB > 0 {
		q := (1 - liveA) * (1 - liveB)
		h := y.net / 2 * (1/(a*liveB) + 1/(b*liveA))
		k := (y.net/time*min(blind[0].dead, blind[1].dead) - q*h) / max(liveA*liveB-q, 0.1)
		together = k - h + y.net/2*(1/a+1/b)
	}
	left := max(0, 1-seen+together*min(blind[0].part, blind[1].part))
	y.reduce(left, math.Hypot(unsure, math.Abs(together)/2))
}

// repeats notes how many tags follow another one of their channel within the window, as
// afterpulses and double counts do: each is in a coincidence of its own with the partner.
func (y *yield) repeats(blind [2]blindness) {
	y.repeated = blind[0].repeated + blind[1].repeated
}

// reduce leaves a part of the accidentals, which is known with such a deviation.
func (y *yield) reduce(left, unsure float64) {
	more := unsure * unsure * y.accidentals * y.accidentals
	if y.blind = 1 - left; y.blind < 0.001 {
		y.blind = 0
	}
	y.net += (1 - left) * y.accidentals
	y.accidentals, y.ofChance = left*y.accidentals, left*y.ofChance
	for lane := range y.apart {
		y.apart[lane] *= left
	}
	y.variance += (left*left - 1) * y.accidentalsVariance
	y.accidentalsVariance *= left * left
	y.ratesVariance *= left * left
	if left == 0 {
		y.counted = 0
		return
	}
	ratio := (y.net + y.accidentals) / y.accidentals
	y.ratioVariance = y.ratioVariance/(left*left) + unsure*unsure*ratio*ratio
	y.accidentalsVariance += more
	y.variance += more
}

// between counts pairs of tags that are from so many ps to so many apart.
func between(tags []uint64, from, to int64) (n float64) {
	low, high := 0, 0
	for _, t := range tags {
		for low < len(tags) && int64(tags[low]-t) < from {
			low++
		}
		for high < len(tags) && int64(tags[high]-t) <= to {
			high++
		}
		n += float64(high - low)
	}
	return n
}

// blindAfter is a time within which tags hardly ever follow one another, though
// chance would have many do: a dead time, up to a factor of two, and not much less than
// it is; sharp is the longest within which next to none does. 0: none is seen.
func blindAfter(tags []uint64) (blind, sharp int64) {
	const steps = 8 // lengths looked at in an octave
	if len(tags) < 2 || tags[len(tags)-1] == tags[0] {
		return 0, 0
	}
	var shorter [64 * steps]int // gaps by their length
	for i := 1; i < len(tags); i++ {
		if gap := tags[i] - tags[i-1]; gap < steps {
			shorter[0]++
		} else if octave := bits.Len64(gap) - 1; octave < 63 {
			shorter[octave*steps+int(gap>>(octave-3))%steps]++
		}
	}
	n := float64(len(tags))
	rate := n / float64(tags[len(tags)-1]-tags[0])
	counted := 0
	for k := range shorter {
		counted += shorter[k]
		below := math.Ldexp(1+float64(k%steps+1)/steps, k/steps)
		due := n * -math.Expm1(-rate*below)
		if due <= enoughBlind {
			continue
		}
		if float64(counted) < fewBlind*due {
			sharp = int64(below)
		}
		if k%steps == steps-1 && float64(counted) < due/2 {
			blind = int64(below)
		}
	}
	return max(blind, sharp), sharp
}
