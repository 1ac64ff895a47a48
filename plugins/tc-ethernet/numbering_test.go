package main

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// testNumbering is that of records of 200 ms, started within 1 ms.
func testNumbering(records int) numbering {
	return newNumbering(plan{records: records, period: 200e9, width: 200e9 - deadTime}, time.Millisecond)
}

const ms = time.Millisecond

// TestNumberingTable tells small stories of one channel: what statuses said,
// what came, and which number each message got in the end (-1: none).
func TestNumberingTable(t *testing.T) {
	type event struct {
		status  *counted
		message *message
	}
	saw := func(records int, tags uint64) event {
		return event{status: &counted{snapshot: snapshot{records, tags}}}
	}
	waited := func(at time.Duration, records int, tags uint64) event {
		return event{status: &counted{snapshot{records, tags}, at, true, at}}
	}
	came := func(at time.Duration, tags, first, last uint64, count int) event {
		return event{message: &message{at: at, tags: tags, first: first, last: last, count: count}}
	}
	tests := []struct {
		name    string
		records int
		story   []event
		end     int // records counted in the end
		want    []int
	}{
		{"one after the other", 0, []event{
			saw(0, 0), came(202*ms, 10, 5, 900, 0), saw(1, 10), came(402*ms, 10, 4, 905, 2), saw(2, 20),
		}, 2, []int{0, 1}},
		{"an empty record between", 0, []event{
			saw(0, 0), came(202*ms, 1, 50, 50, 1), saw(1, 1), saw(2, 1), came(602*ms, 1, 60, 60, 2),
		}, 3, []int{0, 2}},
		{"empty first records", 0, []event{
			saw(0, 0), saw(1, 0), saw(2, 0), came(601*ms, 1, 60, 60, 3),
		}, 3, []int{2}},
		{"a record in two messages", 0, []event{
			saw(0, 0), came(202*ms, 5, 1, 50, 0), came(203*ms, 5, 50, 90, 0), saw(1, 10), came(402*ms, 5, 2, 40, 1),
		}, 2, []int{0, 0, 1}},
		{"held up, dense: later ones decide", 0, []event{
			saw(0, 0), came(700*ms, 5, 1, 90, 3), came(701*ms, 5, 1, 90, 3), came(702*ms, 5, 1, 90, 3), saw(3, 15),
		}, 3, []int{0, 1, 2}},
		{"held up, and one record empty: nobody knows", 0, []event{
			saw(0, 0), came(700*ms, 5, 1, 90, 3), came(701*ms, 5, 1, 90, 3), saw(3, 10), came(802*ms, 5, 1, 90, 3),
		}, 4, []int{-1, -1, 3}},
		{"held up, but nothing was counted yet", 0, []event{
			saw(0, 0), came(700*ms, 5, 1, 90, 0),
		}, 3, []int{0}},
		{"repeated", 0, []event{
			saw(0, 0), came(202*ms, 5, 1, 90, 0), came(203*ms, 5, 1, 90, 1), saw(1, 10), came(402*ms, 5, 2, 40, 1),
		}, 2, []int{0, -1, 1}},
		{"more messages than records", 2, []event{
			saw(0, 0), came(900*ms, 5, 1, 90, 4), came(900*ms, 5, 1, 90, 4), came(900*ms, 5, 1, 90, 4),
		}, 2, []int{0, 1, -1}},
		{"before any record could end", 0, []event{
			came(100*ms, 5, 1, 90, 0),
		}, 0, []int{-1}},
		{"a status overtakes the message it counts", 0, []event{
			saw(0, 0), saw(1, 5), came(203*ms, 5, 1, 90, 1), saw(1, 5), came(402*ms, 5, 1, 90, 2),
		}, 2, []int{0, 1}},
		{"put out of order", 0, []event{
			waited(190*ms, 0, 0), came(202*ms, 5, 1, 90, 0), waited(250*ms, 1, 5), waited(455*ms, 1, 5), waited(495*ms, 1, 5),
			waited(565*ms, 1, 5), came(602*ms, 6, 1, 90, 1), waited(603*ms, 2, 11), came(604*ms, 5, 1, 90, 2), waited(650*ms, 3, 16), came(802*ms, 5, 1, 90, 3),
		}, 4, []int{0, -1, -1, 3}},
		{"late, but never by a record", 0, []event{
			waited(190*ms, 0, 0), waited(260*ms, 0, 0), waited(330*ms, 0, 0), waited(390*ms, 0, 0), came(395*ms, 5, 1, 90, 0),
			waited(460*ms, 1, 5), waited(590*ms, 1, 5), came(595*ms, 5, 1, 90, 1), waited(597*ms, 2, 10),
		}, 4, []int{0, 1}},
		{"answered once before a backlog", 0, []event{
			waited(190*ms, 0, 0), came(202*ms, 5, 1, 90, 0), waited(590*ms, 1, 5), came(592*ms, 6, 1, 90, 1), waited(595*ms, 2, 11),
		}, 4, []int{0, 1}},
		{"the end of the acquisition decides", 0, []event{
			saw(0, 0), came(450*ms, 5, 1, 90, 2), came(450*ms, 5, 1, 90, 2),
		}, 2, []int{0, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := testNumbering(test.records)
			got := make([]int, 0, len(test.want))
			var open []int // indices in got of what n holds
			settle := func() {
				for len(open) > 0 {
					record, ok := n.next()
					if !ok {
						return
					}
					got[open[0]] = record
					open = open[1:]
				}
			}
			for _, e := range test.story {
				if e.status != nil {
					n.note(*e.status)
					continue
				}
				got = append(got, -1)
				if n.take(*e.message) == nil {
					open = append(open, len(got)-1)
				}
				settle()
			}
			n.finish(test.end)
			settle()
			for len(n.held) > 0 {
				n.drop()
				open = open[1:]
				settle()
			}
			for i := range test.want {
				if got[i] != test.want[i] {
					t.Errorf("message %d: record %d, want %d (all: %v)", i, got[i], test.want[i], got)
				}
			}
		})
	}
}

// TestNumberingIsNeverWrong plays a service that keeps the rules to a reader
// that is held up at random. Whatever happens, a number that is given is right.
func TestNumberingIsNeverWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStory(t, 3*time.Second)
		for i, got := range s.play() {
			if got >= 0 && got != s.sent[i].record {
				t.Fatalf("message %d of record %d was given number %d", i, s.sent[i].record, got)
			}
		}
	})
}

// TestNumberingIsComplete: as long as nothing is held up for most of a period,
// every message is numbered, however empty or split the records are.
func TestNumberingIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStory(t, 40*ms)
		for i, got := range s.play() {
			if got != s.sent[i].record {
				t.Fatalf("message %d of record %d was given number %d", i, s.sent[i].record, got)
			}
		}
	})
}

// TestNumberingDense: when every record has tags, no delay of this process
// makes a message ambiguous in the end.
func TestNumberingDense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStory(t, 2*time.Second, dense)
		for i, got := range s.play() {
			if got != s.sent[i].record {
				t.Fatalf("message %d of record %d was given number %d", i, s.sent[i].record, got)
			}
		}
	})
}

// story is a channel's history as the service makes it and the reader meets it.
type story struct {
	records int
	drift   int64 // of the device's clock against the PC's, ppm
	sent    []sentMessage
	steps   []step
}

type sentMessage struct {
	record      int
	first, last uint64
	tags        uint64
	sent        time.Duration // when the service handed it over
	read        time.Duration // when the reader saw it
	count       int           // what a status asked for then answered
}

// step is what the reader does, in order: take message index, or note a status.
type step struct {
	at      time.Duration
	message int // -1: a status
	status  snapshot
}

type storyOption int

const dense storyOption = 1

// drawStory invents a history. The reader falls behind the service by up to
// half of delay, and so does the service behind the device, unless it is dense.
func drawStory(t *rapid.T, delay time.Duration, options ...storyOption) *story {
	const period = 200 * ms
	s := &story{records: rapid.IntRange(1, 30).Draw(t, "records"), drift: rapid.Int64Range(-50, 50).Draw(t, "ppm")}
	wait := func(name string) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(delay)).Draw(t, name))
	}
	// The service: a log of when it handed over and counted what.
	type change struct {
		at time.Duration
		snapshot
	}
	var log []change
	now, tags := time.Duration(0), uint64(0)
	start := time.Duration(rapid.Int64Range(0, int64(ms)).Draw(t, "start"))
	for r := range s.records {
		end := start + time.Duration(r+1)*period - 40
		end += end * time.Duration(s.drift) / 1e6
		parts, value := 1, uint64(0)
		if len(options) == 0 {
			end += wait("service") / 2
			parts = rapid.IntRange(0, 3).Draw(t, "messages")
			value = uint64(rapid.IntRange(0, 400).Draw(t, "value"))
		}
		now = max(now, end)
		for range parts {
			m := sentMessage{record: r, first: value, tags: uint64(rapid.IntRange(1, 4).Draw(t, "tags"))}
			m.last = m.first + uint64(rapid.IntRange(1, 300).Draw(t, "length"))
			value = m.last
			m.sent = now
			s.sent = append(s.sent, m)
			tags += m.tags
			log = append(log, change{now, snapshot{r, tags}})
			now += time.Duration(rapid.Int64Range(0, int64(ms)).Draw(t, "between"))
		}
		log = append(log, change{now, snapshot{r + 1, tags}})
	}
	at := func(when time.Duration) snapshot {
		var c snapshot
		for _, l := range log {
			if l.at > when {
				break
			}
			c = l.snapshot
		}
		return c
	}
	// The reader: polls, and reads messages when it gets to it.
	var clock time.Duration
	next := 0
	for next < len(s.sent) || clock < now {
		clock += time.Duration(rapid.Int64Range(int64(5*ms), int64(60*ms)).Draw(t, "poll"))
		if rapid.IntRange(0, 9).Draw(t, "stall") == 0 {
			clock += wait("reader") / 2
		}
		for next < len(s.sent) && s.sent[next].sent <= clock {
			m := &s.sent[next]
			m.read = clock
			m.count = at(clock).records
			s.steps = append(s.steps, step{at: clock, message: next})
			next++
		}
		s.steps = append(s.steps, step{at: clock, message: -1, status: at(clock)})
	}
	return s
}

// play lets the numbering work and returns what it said of each message; -1: ambiguous.
func (s *story) play() []int {
	n := testNumbering(s.records)
	got := make([]int, len(s.sent))
	var open []int
	settle := func() {
		for len(open) > 0 {
			record, ok := n.next()
			if !ok {
				return
			}
			got[open[0]] = record
			open = open[1:]
		}
	}
	for _, step := range s.steps {
		if step.message < 0 {
			n.note(counted{step.status, step.at, true, step.at})
			continue
		}
		m := s.sent[step.message]
		got[step.message] = -1
		if n.take(message{at: m.read, tags: m.tags, first: m.first, last: m.last, count: m.count}) == nil {
			open = append(open, step.message)
		}
		settle()
	}
	n.finish(s.records)
	settle()
	for len(open) > 0 {
		n.drop()
		open = open[1:]
		settle()
	}
	return got
}
