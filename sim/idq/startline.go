package idq

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sim/sky"
)

// edgeLead is how long after GENn:PLAY the first edge comes, in ps; every
// simulator on the line should have heard of it by then. One that hears of it
// later still begins at the very same instant, looking back at the sky.
const edgeLead = int64(100_000_000_000)

const (
	lineBeat    = time.Second            // at least so often the line says what is on it
	lineSilence = 3 * time.Second        // without a word for so long, the other end is gone
	lineRetry   = 20 * time.Millisecond  // between attempts to reach the generator's simulator
	lineDial    = 500 * time.Millisecond // for one attempt
	lineLongest = 512                    // bytes of one line
	linePeers   = 64
)

// train is a generator's pulses.
type train struct {
	First  sky.Instant
	Period int64 // ps
	Count  int64 // 0: without end
}

// next returns the first edge that is not before an instant.
func (t train) next(after sky.Instant) (edge sky.Instant, ok bool) {
	late := after.Sub(t.First)
	if late <= 0 {
		return t.First, true
	}
	n := (late-1)/t.Period + 1
	if t.Count > 0 && n >= t.Count {
		return sky.Instant{}, false
	}
	return t.First.Add(n * t.Period), true
}

// startLine is the cable from a generator's output to the START inputs of all
// controllers. The simulator whose generator is enabled listens at the shared
// address; an armed one dials it and is told, once a second and at every
// change, which pulses are on the line:
//
//	{"first_unix_ns":1700000000000000000,"first_ps":0,"period_ps":1004000,"count":1}
//	{}                                                  nothing
//
// Without an address the line ends at this controller.
type startLine struct {
	addr string
	log  *slog.Logger

	mu       sync.Mutex
	pulses   *train        // nil: nothing is on the line
	changed  chan struct{} // closed at every change of pulses, and replaced
	listener net.Listener
}

// lineState is one line on the wire.
type lineState struct {
	FirstUnixNs int64 `json:"first_unix_ns,omitempty"`
	FirstPs     int64 `json:"first_ps,omitempty"`
	PeriodPs    int64 `json:"period_ps,omitempty"` // 0: nothing is on the line
	Count       int64 `json:"count,omitempty"`
}

func newStartLine(addr string, log *slog.Logger) *startLine {
	return &startLine{addr: addr, log: log, changed: make(chan struct{})}
}

// set puts pulses on the line, or none.
func (s *startLine) set(t *train) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulses = t
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *startLine) get() (pulses *train, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pulses, s.changed
}

// open makes this simulator the one that drives the line; when opened it must
// be served.
func (s *startLine) open() (opened bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == "" || s.listener != nil {
		return false, nil
	}
	if s.listener, err = net.Listen("tcp", s.addr); err != nil {
		return false, fmt.Errorf("drive the start line: %w", err)
	}
	return true, nil
}

func (s *startLine) drives() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener != nil
}

// serve tells everyone who dials what is on the line, until ctx ends.
func (s *startLine) serve(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { s.listener.Close() })()
	var peers sync.WaitGroup
	defer peers.Wait()
	places := make(chan struct{}, linePeers)
	for {
		conn, err := s.listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil { // out of file descriptors, usually
			if !instrument.Pause(ctx, lineRetry) {
				return
			}
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		peers.Go(func() {
			defer func() { <-places }()
			s.tell(ctx, conn)
		})
	}
}

// tell keeps one peer informed until it is gone or ctx ends.
func (s *startLine) tell(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	beat := time.NewTicker(lineBeat)
	defer beat.Stop()
	for {
		pulses, changed := s.get()
		var state lineState
		if pulses != nil {
			state.FirstUnixNs, state.FirstPs = pulses.First.Unix()
			state.PeriodPs, state.Count = pulses.Period, pulses.Count
		}
		line, err := json.Marshal(state)
		if err == nil {
			err = conn.SetWriteDeadline(time.Now().Add(lineBeat))
		}
		if err == nil {
			_, err = conn.Write(append(line, '\n'))
		}
		if err != nil {
			return
		}
		select {
		case <-changed:
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

// wait returns the first edge that is not before an instant. When remote, it
// listens to the shared line as well as to this controller's generators.
func (s *startLine) wait(ctx context.Context, after sky.Instant, remote bool) (sky.Instant, error) {
	if remote && s.addr != "" {
		ctx, cancel := context.WithCancel(ctx)
		var joined sync.WaitGroup
		joined.Go(func() { s.join(ctx) })
		defer joined.Wait()
		defer cancel()
	}
	for {
		pulses, changed := s.get()
		if pulses != nil {
			if edge, ok := pulses.next(after); ok {
				return edge, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return sky.Instant{}, context.Cause(ctx)
		}
	}
}

// join follows what is on the shared line until ctx ends, unless this
// simulator drives it.
func (s *startLine) join(ctx context.Context) {
	for ctx.Err() == nil {
		if !s.drives() {
			if err := s.follow(ctx); err != nil && ctx.Err() == nil {
				s.log.Debug("start line not followed", "address", s.addr, "error", err)
			}
		}
		instrument.Pause(ctx, lineRetry)
	}
}

// follow dials the line once and follows it until it breaks.
func (s *startLine) follow(ctx context.Context) error {
	dialer := net.Dialer{Timeout: lineDial}
	conn, err := dialer.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer s.set(nil) // what was on the line is not known any more
	r := bufio.NewReaderSize(conn, lineLongest)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(lineSilence)); err != nil {
			return err
		}
		line, err := r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		t, err := parseLine(line)
		if err != nil {
			return err
		}
		if s.drives() {
			return nil
		}
		s.set(t)
	}
}

// parseLine reads one line; nil means that nothing is on the line.
func parseLine(line []byte) (*train, error) {
	var state lineState
	if err := json.Unmarshal(line, &state); err != nil {
		return nil, fmt.Errorf("read %s: %w", clip(string(line)), err)
	}
	if state == (lineState{}) {
		return nil, nil
	}
	if state.FirstUnixNs <= 0 || state.FirstPs < 0 || state.FirstPs > 999 || state.PeriodPs <= 0 || state.PeriodPs > longestSpan || state.Count < 0 {
		return nil, fmt.Errorf("read %s: no pulses look like that", clip(string(line)))
	}
	return &train{First: sky.Unix(state.FirstUnixNs, state.FirstPs), Period: state.PeriodPs, Count: state.Count}, nil
}
