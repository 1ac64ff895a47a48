package pairs

import (
	"math"
	"math/rand/v2"
)

// node records what its detectors see.
type node struct {
	e          *Experiment
	rng        *rand.Rand
	jitter     float64
	delays     []float64 // of its detectors
	tail       float64   // ps
	step       float64   // ps, of its tags
	zero       int64     // ps from the experiment's Start: what its clock shows where detections are 0
	blind      []Span
	detections []detection // in order of time
}

type detection struct {
	at       int64 // ps from zero
	pair     int32 // number of the pair it is of, from 1; 0: of none
	detector uint8
	lost     bool // in the detector's dead time
}

func newNode(e *Experiment, rng *rand.Rand, jitter float64, delays []float64, singles float64, zero int64) *node {
	n := singles * e.Seconds * (1 + e.Afterpulse)
	return &node{e: e, rng: rng, jitter: jitter, delays: delays, zero: zero,
		detections: make([]detection, 0, int(n+6*math.Sqrt(n))+16)}
}

// detect adds a photon of true time t for which the node's clock, without its
// jitter and cables, shows at.
func (n *node) detect(t, at float64, pair int32) {
	if covers(n.blind, t) {
		return
	}
	detector := 0
	if len(n.delays) > 1 {
		detector = n.rng.IntN(len(n.delays))
	}
	at += n.delays[detector] + n.jitter*n.rng.NormFloat64()
	if n.tail > 0 && (n.e.TailShare == 0 || n.rng.Float64() < n.e.TailShare) {
		at += n.tail * n.rng.ExpFloat64()
	}
	n.insert(detection{at: int64(math.Round(at)), pair: pair, detector: uint8(detector)})
	if n.e.Afterpulse > 0 && n.rng.Float64() < n.e.Afterpulse {
		at += n.e.DeadTime + n.e.AfterpulseDelay*n.rng.ExpFloat64()
		n.insert(detection{at: int64(math.Round(at)), detector: uint8(detector)})
	}
}

// insert keeps the order; a detection is rarely earlier than the last few.
func (n *node) insert(d detection) {
	n.detections = append(n.detections, d)
	for i := len(n.detections) - 1; i > 0 && n.detections[i-1].at > d.at; i-- {
		n.detections[i-1], n.detections[i] = d, n.detections[i-1]
	}
}

// die loses what comes within the dead time of its detector's last tag.
func (n *node) die() {
	if n.e.DeadTime <= 0 {
		return
	}
	last := make([]float64, len(n.delays))
	for i := range last {
		last[i] = math.Inf(-1)
	}
	for i := range n.detections {
		d := &n.detections[i]
		if float64(d.at)-last[d.detector] < n.e.DeadTime {
			d.lost = true
		} else {
			last[d.detector] = float64(d.at)
		}
	}
}

// tags returns the tags of a detector, or of all for -1.
func (n *node) tags(detector int) []uint64 {
	tags := make([]uint64, 0, len(n.detections))
	for _, d := range n.detections {
		if !d.lost && (detector < 0 || int(d.detector) == detector) {
			tags = append(tags, n.e.Start+uint64(n.stepped(n.zero+d.at)))
		}
	}
	return tags
}

// stepped is the whole step that is nearest to a time.
func (n *node) stepped(t int64) int64 {
	if n.step <= 1 {
		return t
	}
	return int64(math.Round(math.Round(float64(t)/n.step) * n.step))
}
