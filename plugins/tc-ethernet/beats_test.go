package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// played is one channel of records of 200 ms that all have tags, as a service hands
// them over and a reader meets them.
type played struct {
	step    time.Duration // by which the controller's clock jumps ahead
	at      time.Duration // when
	latency time.Duration // of the service, always
	behind  int           // by so many records record 5 is handed over too late
	heldUp  time.Duration // until then the reader is held up now and then
}

const playedRecords = 40

// handed is one message as the service hands it over, the moment before it counts it.
type handed struct {
	record int
	at     time.Duration
}

// hand plays the service.
func (p played) hand(r *rand.Rand) []handed {
	messages := make([]handed, playedRecords)
	for k := range messages {
		end := time.Duration(k+1)*200*ms + 500*time.Microsecond
		if end > p.at {
			end = max(end-p.step, p.at)
		}
		messages[k] = handed{k, end + p.latency + time.Duration(r.Int64N(int64(2*ms)))}
	}
	if p.behind > 0 {
		late := messages[5]
		messages = slices.Insert(slices.Delete(messages, 5, 6), 5+p.behind, late)
	}
	for i := 1; i < len(messages); i++ {
		messages[i].at = max(messages[i].at, messages[i-1].at+3*ms)
	}
	return messages
}

// read plays the reader, which polls about every 40 ms, and returns the messages and the
// number that each was given; -1: none.
func (p played) read(seed uint64) (messages []handed, numbers []int) {
	r := rand.New(rand.NewPCG(seed, 7))
	messages = p.hand(r)
	b := bookkeeper{numbering: testNumbering(playedRecords)}
	count := func(at time.Duration) int {
		n := 0
		for n < len(messages) && messages[n].at+200*time.Microsecond <= at {
			n++
		}
		return n
	}
	var now, polled, due time.Duration
	for next := 0; next < len(messages); {
		now = max(now, min(due, messages[next].at))
		if now < p.heldUp && r.IntN(10) == 0 {
			now += time.Duration(r.Int64N(int64(700 * ms)))
		}
		for ; next < len(messages) && messages[next].at <= now; next++ {
			now += 100 * time.Microsecond
			b.take(message{at: now, tags: 5, first: 1, last: 90, count: count(now)})
		}
		if now >= due {
			asked := now - time.Duration(r.Int64N(int64(5*ms)))
			b.note(counted{snapshot{count(now), uint64(5 * count(now))}, asked, now-polled < 100*ms, now})
			polled, due = now, now+time.Duration(35+r.Int64N(10))*ms
		}
	}
	b.finish(playedRecords)
	b.settle()
	for len(b.open) > 0 {
		b.giveUp()
		b.settle()
	}
	return messages, b.numbers
}

// bookkeeper does with messages what a lane does.
type bookkeeper struct {
	numbering
	numbers []int
	open    []int // indices in numbers of what numbering holds
}

func (b *bookkeeper) take(m message) {
	b.numbers = append(b.numbers, -1)
	if b.numbering.take(m) == nil {
		b.open = append(b.open, len(b.numbers)-1)
	}
	b.settle()
}

func (b *bookkeeper) settle() {
	for {
		record, ok := b.next()
		switch {
		case ok:
			b.numbers[b.open[0]] = record
			b.open = b.open[1:]
		case b.hopeless():
			b.giveUp()
		default:
			return
		}
	}
}

func (b *bookkeeper) giveUp() {
	b.drop()
	b.open = b.open[1:]
}

// TestNumberingAfterJumps: whatever jumps, and whoever is late and held up, no
// message is given a number that is not its own, and some records after that every
// message has one.
func TestNumberingAfterJumps(t *testing.T) {
	const never = playedRecords * time.Second
	for _, test := range []struct {
		played
		lost  float64       // messages, of 40, on average at most
		after time.Duration // after all that, when every message has its number
	}{
		{played{}, 0, 0},
		{played{heldUp: 3 * time.Second}, 0, 0},
		{played{step: 30 * ms}, 0, 0},
		{played{step: 90 * ms}, 0, 0},
		{played{step: 150 * ms}, 1, time.Second},
		{played{step: 250 * ms}, 1.5, time.Second},
		{played{step: 900 * ms}, 5, time.Second},
		{played{step: 30 * ms, heldUp: 3 * time.Second}, 2, 1500 * ms},
		{played{step: 250 * ms, heldUp: 3 * time.Second}, 4, 1500 * ms},
		{played{step: 900 * ms, heldUp: 3 * time.Second}, 9, 1500 * ms},
		{played{step: -150 * ms}, 0, 0},
		{played{step: -250 * ms}, beatsBack, 2 * time.Second},
		{played{step: -900 * ms}, beatsBack, 2 * time.Second},
		{played{step: -250 * ms, heldUp: 3 * time.Second}, 20, never},
		{played{step: -200 * ms}, 40, never}, // or a record was held back: nobody knows
		{played{latency: 120 * ms}, 0, 0},
		{played{latency: 250 * ms}, beatsBack, 2 * time.Second},
		{played{behind: 1}, 3, time.Second},
		{played{behind: 3}, 5, time.Second},
		{played{behind: 20}, 24, never},
		{played{behind: 3, latency: 70 * ms}, 6, time.Second},
	} {
		t.Run(fmt.Sprintf("%+v", test.played), func(t *testing.T) {
			const trials = 200
			lost := 0
			for seed := range uint64(trials) {
				p := test.played
				p.at = 450*ms + time.Duration(seed)*ms
				messages, numbers := p.read(seed)
				for i, m := range messages {
					switch {
					case numbers[i] < 0:
						lost++
						if m.at > max(p.at, p.heldUp+700*ms, messages[min(5+p.behind, 20)].at)+test.after {
							t.Fatalf("trial %d: the message of record %d at %v has no number", seed, m.record, m.at)
						}
					case numbers[i] != m.record:
						t.Fatalf("trial %d: the message of record %d has number %d", seed, m.record, numbers[i])
					}
				}
			}
			if mean := float64(lost) / trials; mean > test.lost {
				t.Errorf("%.2f messages have no number, want %v", mean, test.lost)
			}
		})
	}
}
