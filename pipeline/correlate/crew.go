package correlate

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// crew has all cores work, each on pieces of its own, while the caller makes the next
// ones. Nobody waits for another's piece, and what has come of them is taken in their
// order, by the caller's goroutine, so that nothing depends on how many cores there are.
type crew[P any] struct {
	work  func(core int, p *P)
	take  func(p *P) error
	line  []place[P] // a ring
	given int
	taken int // of those given, the first ones
	todo  chan *place[P]
	all   sync.WaitGroup
}

// place is where a piece stands, with the memory of those that stood there before.
type place[P any] struct {
	piece P
	done  chan struct{}
}

// lineUp is how many pieces a core has before it, so that it never waits for one.
const lineUp = 2

// newCrew starts so many cores. Of one core, the caller does the work.
func newCrew[P any](cores int, work func(core int, p *P), take func(p *P) error) *crew[P] {
	c := &crew[P]{work: work, take: take, line: make([]place[P], 1)}
	if cores == 1 {
		return c
	}
	c.line = make([]place[P], lineUp*cores)
	c.todo = make(chan *place[P], len(c.line))
	for i := range c.line {
		c.line[i].done = make(chan struct{}, 1)
	}
	for core := range cores {
		c.all.Go(func() {
			for p := range c.todo {
				c.work(core, &p.piece)
				p.done <- struct{}{}
			}
		})
	}
	return c
}

// next is where the next piece is put, to be given then.
func (c *crew[P]) next() (*P, error) {
	if c.given-c.taken == len(c.line) {
		if err := c.takeOldest(); err != nil {
			return nil, err
		}
	}
	return &c.line[c.given%len(c.line)].piece, nil
}

// give has the piece worked on.
func (c *crew[P]) give() error {
	p := &c.line[c.given%len(c.line)]
	c.given++
	if c.todo != nil {
		c.todo <- p // for which there is room
		return nil
	}
	c.work(0, &p.piece)
	return c.takeOldest()
}

func (c *crew[P]) takeOldest() error {
	p := &c.line[c.taken%len(c.line)]
	c.taken++
	if c.todo != nil {
		<-p.done
	}
	return c.take(&p.piece)
}

// passed takes all that has been given where the present span has brought no piece, only
// those before it: while A is silent, however long, no span is in use and none is held.
func (c *crew[P]) passed(g *gather, before int) error {
	if c.given > before {
		return nil
	}
	err := c.finish()
	g.used = g.spans + 1
	return err
}

// finish takes all that has been given.
func (c *crew[P]) finish() error {
	for c.taken < c.given {
		if err := c.takeOldest(); err != nil {
			return err
		}
	}
	return nil
}

// stop waits until nobody works any more.
func (c *crew[P]) stop() {
	if c.todo != nil {
		close(c.todo)
		c.all.Wait()
	}
}

// Each calls do with 0 to n-1, as many calls at a time as there are cores.
// Results that go each to its own place do not depend on how many those are.
func Each(n int, do func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}
