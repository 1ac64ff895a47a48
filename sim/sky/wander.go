package sky

import (
	"math/rand/v2"

	"tsrun/sdk/quantity"
)

// Wander is how far the noise of a free-running clock has moved its phase, a
// function of true time since the acquisition began. It is a pure function of
// what NewWander is given: every caller, in any order, gets the same.
//
// On a grid of one cell (1 ms), with frequency y and phase x,
//
//	y[k] = f[k] + white/sqrt(1 ms) n    f[k+1] = f[k] + randomWalk sqrt(1 ms) m
//	x[k+1] = x[k] + y[k] 1 ms           x[0] = f[0] = 0
//
// with n and m standard normal, and x straight between; x is 0 before the
// begin. The Allan deviation is then white/sqrt(tau) for white frequency noise
// and randomWalk sqrt(tau/3) for random-walk frequency noise (Riley, Handbook
// of Frequency Stability Analysis, NIST SP 1065), from the grid on upwards.
//
// It remembers the state at every 4096th cell, 14 kB for an hour, and the
// phases near where it was asked last. It is not for concurrent use.
type Wander struct {
	key   uint64
	white float64 // ps rms, by which white noise moves the phase in a cell
	walk  float64 // ps per cell rms, by which the frequency changes from cell to cell
	known []wanderState
	near  [nearBlocks]wanderBlock
}

const (
	blockCells = 4096
	nearBlocks = 4
)

// wanderState is where the clock is at the begin of a block.
type wanderState struct {
	phase float64 // ps
	rate  float64 // ps per cell
}

// wanderBlock holds the phases of one block and the first of the next.
type wanderBlock struct {
	number int64 // -1: not filled
	phase  [blockCells + 1]float64
}

// NewWander returns the noise of the clock of the controller called serial,
// or nil where there is none. White is the Allan deviation at 1 s of its white
// frequency noise, randomWalk the standard deviation of the change of its
// frequency in 1 s.
func NewWander(seed uint64, serial string, white, randomWalk quantity.Drift) *Wander {
	if white == 0 && randomWalk == 0 {
		return nil
	}
	const rootOfCell = 0.0316227766016837933 // sqrt(1 ms / 1 s)
	w := &Wander{
		key:   key(seed, purposeClock, keyOfText(serial)),
		white: float64(white) * 1e-15 * 1e12 * rootOfCell,
		walk:  float64(randomWalk) * 1e-15 * CellPs * rootOfCell,
		known: make([]wanderState, 1),
	}
	for i := range w.near {
		w.near[i].number = -1
	}
	return w
}

// At returns the phase in ps at a true time in ps since the begin; positive
// phases make tags larger. A nil Wander is a quiet clock.
func (w *Wander) At(ps int64) float64 {
	if w == nil || ps <= 0 {
		return 0
	}
	cell, within := ps/CellPs, ps%CellPs
	b := w.block(cell / blockCells)
	here, next := b.phase[cell%blockCells], b.phase[cell%blockCells+1]
	return here + float64((next-here)*(float64(within)/CellPs))
}

// block returns the phases of a block.
func (w *Wander) block(number int64) *wanderBlock {
	for int64(len(w.known)) <= number {
		w.fill(int64(len(w.known)) - 1)
	}
	if b := &w.near[number%nearBlocks]; b.number == number {
		return b
	}
	return w.fill(number)
}

// fill computes a block whose first state is known, and learns the next one's.
func (w *Wander) fill(number int64) *wanderBlock {
	b := &w.near[number%nearBlocks]
	b.number = number
	at := w.known[number]
	c := counter{key(w.key, uint64(number))}
	r := rand.New(&c)
	for i := range blockCells {
		b.phase[i] = at.phase
		// The conversions forbid fused operations, so that all machines agree.
		at.phase += at.rate + float64(normal(r)*w.white)
		at.rate += float64(normal(r) * w.walk)
	}
	b.phase[blockCells] = at.phase
	if int64(len(w.known)) == number+1 {
		w.known = append(w.known, at)
	}
	return b
}
