package idq_test

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/quantity"
	"tsrun/sdk/zmtp"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// faulty starts a controller with faults.
func faulty(t *testing.T, faults ...string) *simulator {
	t.Helper()
	return start(t, idq.Config{Controller: sky.Controller{Faults: faults}})
}

// measure streams three records of channel 1 and returns the messages in the
// order they came, and the truth.
func measure(t *testing.T, s *simulator, d *client) ([][]uint64, idq.Truth) {
	t.Helper()
	stream := s.stream(d, 1, "")
	c := s.scpi()
	c.ask("RAW1:SEND ON;:REC:ENAB ON;DUR 20e9;PPER 21e9;NUM 3;PLAY")
	truth := s.truth()
	d.Until("status 1", func(r string) bool { return strings.Contains(r, `"acquisitions_count":3`) })
	d.stop("1")
	var messages [][]uint64
	for m := message(t, stream); len(m) > 0; m = message(t, stream) {
		messages = append(messages, m)
	}
	return messages, truth
}

// lengths returns how many tags each message has.
func lengths(messages [][]uint64) (tags []uint64) {
	for _, m := range messages {
		tags = append(tags, uint64(len(m)))
	}
	return tags
}

func total(messages [][]uint64) (sum uint64) {
	for _, n := range lengths(messages) {
		sum += n
	}
	return sum
}

func TestFaultNames(t *testing.T) {
	if err := idq.Faults.Check(nil); err != nil {
		t.Error(err)
	}
	for _, good := range []string{"slow-reply=50 ms", "no-reply=3", "scpi-error=REC:PLAY", "scpi-error=RAW1:ERRORS?", "dlt-error=a = b", "high-rate", "clock-step=5 ns@30 s"} {
		if err := idq.Faults.Check([]string{good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"gremlins":           "the faults are clock-step=BY@AT, dlt-crash=RECORD, dlt-error=TEXT, empty-record=RECORD",
		"silent=1":           "takes no argument",
		"split-record":       "write split-record=RECORD",
		"split-record=-1":    "read RECORD",
		"slow-reply=5":       "read DURATION",
		"clock-step=5 ns":    "has no @",
		"slow-reply=2 min":   "must lie from 0 to 60 s",
		"scpi-error=REC:FLY": "SCPI_ERR_INVALID_CMD",
	} {
		if err := idq.Faults.Check([]string{"silent", bad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", bad, err, want)
		}
	}
}

func TestFaultsOfRecords(t *testing.T) {
	whole := func(t *testing.T, m [][]uint64, truth idq.ChannelTruth) {
		if len(m) != 3 || total(m) != truth.Tags || truth.LostToFault != 0 {
			t.Errorf("messages of %v tags, truth %+v", lengths(m), truth)
		}
	}
	for fault, check := range map[string]func(*testing.T, [][]uint64, idq.ChannelTruth){
		"none": whole,
		"split-record=1": func(t *testing.T, m [][]uint64, truth idq.ChannelTruth) {
			if len(m) != 4 || total(m) != truth.Tags || m[2][0] < m[1][len(m[1])-1] {
				t.Errorf("messages of %v tags, truth %+v", lengths(m), truth)
			}
		},
		"empty-record=1": func(t *testing.T, m [][]uint64, truth idq.ChannelTruth) {
			if len(m) != 2 || total(m) != truth.Tags || truth.LostToFault == 0 {
				t.Errorf("messages of %v tags, truth %+v", lengths(m), truth)
			}
		},
		"repeat-record=1": func(t *testing.T, m [][]uint64, truth idq.ChannelTruth) {
			if len(m) != 4 || !slices.Equal(m[1], m[2]) || total(m) != truth.Tags+uint64(len(m[1])) {
				t.Errorf("messages of %v tags, truth %+v", lengths(m), truth)
			}
		},
		"swap-records=1": func(t *testing.T, m [][]uint64, truth idq.ChannelTruth) {
			whole(t, m, truth)
			last := m[1][len(m[1])-1] + 2*21_000_000_000 // record 2 comes second
			if truth.Last != last {
				t.Errorf("last tag %d, want that of the second message, %d", truth.Last, last)
			}
		},
		"swap-records=2": whole, // there is no next record to change places with
	} {
		t.Run(fault, func(t *testing.T) {
			var faults []string
			if fault != "none" {
				faults = []string{fault}
			}
			s := faulty(t, faults...)
			m, truth := measure(t, s, s.dlt())
			check(t, m, truth.Channels[0])
		})
	}
}

func TestFaultRawErrors(t *testing.T) {
	s := faulty(t, "raw-errors=17")
	m, truth := measure(t, s, s.dlt())
	if c := truth.Channels[0]; c.LostToFault != 17 || total(m) != c.Tags || m[0][0] != c.First {
		t.Errorf("messages of %v tags, truth %+v", lengths(m), c)
	}
	c := s.scpi()
	c.expect("RAW1:ERRORS?", "17")
	c.expect("RAW1:ERRORS:CLEAR;:RAW1:ERRORS?", "0")
}

func TestFaultHighRate(t *testing.T) {
	s := faulty(t, "high-rate")
	m, truth := measure(t, s, s.dlt())
	c := truth.Channels[0]
	if c.LostToFault == 0 || total(m) != c.Tags || c.Tags != 3*50_000 {
		t.Errorf("messages of %v tags, truth %+v", lengths(m), c)
	}
	if errors := s.scpi().ask("RAW1:ERRORS?"); errors == "0" {
		t.Error("the device lost tags and counted no errors")
	}
}

func TestFaultStuckRecord(t *testing.T) {
	s := faulty(t, "stuck-record=1")
	c, d := s.scpi(), s.dlt()
	stream := s.stream(d, 1, "")
	c.ask("RAW1:SEND ON;:REC:ENAB ON;DUR 10e9;PPER 11e9;NUM 3;PLAY")
	first := message(t, stream)
	time.Sleep(50 * time.Millisecond) // longer than all records
	c.expect("REC:STAGe?", "PLAYing")
	c.expect("REC:STOP;STAGe?", "IDLE")
	truth := s.truth()
	if st := d.stop("1"); st.Records != 1 || truth.Channels[0].Tags != uint64(len(first)) || truth.Channels[0].LostToFault == 0 || !truth.Stopped {
		t.Errorf("status %+v, truth %+v", st, truth)
	}
}

func TestFaultCrash(t *testing.T) {
	s := faulty(t, "dlt-crash=1")
	c, d := s.scpi(), s.dlt()
	stream := s.stream(d, 1, "")
	c.ask("RAW1:SEND ON;:REC:ENAB ON;DUR 10e9;PPER 11e9;NUM 3;PLAY")
	message(t, stream)
	stream.SetReadDeadline(time.Now().Add(deadline))
	if frame, _, err := stream.ReadFrame(make([]byte, 1<<20)); err == nil {
		t.Errorf("got a message of %d bytes after the crash", len(frame))
	}
	truth := s.truth()
	if c := truth.Channels[0]; c.LostToFault == 0 || c.Unclaimed == 0 || truth.Records != 3 {
		t.Errorf("truth: %+v", truth)
	}
	d.expect("list", "[]")
	if reply := d.ask("status 1"); !strings.Contains(reply, "error") {
		t.Errorf("status after the crash: %s", reply)
	}
}

func TestFaultsOfReplies(t *testing.T) {
	s := faulty(t, "no-reply=2", "slow-reply=50 ms", "scpi-error=RECord:PLAY", "wrong-identity", "old-status-key", "dlt-error=disk on fire", "stale-acquisition")
	c, d := s.scpi(), s.dlt()
	sent := time.Now()
	if reply := c.ask("*IDN?"); strings.Contains(reply, "ID Quantique") || time.Since(sent) < 50*time.Millisecond {
		t.Errorf("%q after %v", reply, time.Since(sent))
	}
	if err := c.conn.Send(deadline, nil, []byte("REC:STAG?")); err != nil {
		t.Fatal(err)
	}
	if reply, err := c.reply(200 * time.Millisecond); err == nil {
		t.Errorf("request 2 was answered: %q", reply)
	}
	c = s.scpi()
	if reply := c.ask("REC:PLAY"); !strings.Contains(reply, "SCPI_ERR_") {
		t.Errorf("REC:PLAY: %q", reply)
	}
	d.expect("list", `["127.0.0.1:5556","127.0.0.1:5557","127.0.0.1:5558","127.0.0.1:5559"]`)
	if st := d.stop("127.0.0.1:5556"); st.Inactivity != nil || st.Old == nil || len(st.Errors) != 1 || st.Errors[0].Description != "disk on fire" {
		t.Errorf("status: %+v", st)
	}
}

func TestFaultSilent(t *testing.T) {
	s := faulty(t, "silent")
	for _, addr := range []string{s.SCPIAddr(), s.DLTAddr()} {
		conn, err := net.DialTimeout("tcp", addr, deadline)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	if conn, err := zmtp.Dial(t.Context(), "tcp", s.SCPIAddr(), zmq4.Req); err == nil {
		conn.Close()
		t.Error("a handshake succeeded")
	}
}

func TestCounters(t *testing.T) {
	s := start(t, idq.Config{Sky: sky.Settings{Seed: 5, Pairs: sky.Pairs{Rate: 100 * quantity.Kilohertz}}})
	c := s.scpi()
	count := func(request string) (n int) {
		t.Helper()
		lines := strings.Split(c.ask(request), "\n")
		n, err := strconv.Atoi(lines[len(lines)-1])
		if err != nil {
			t.Fatalf("%s: %v", request, err)
		}
		return n
	}
	if n := count("INPU1:COUNter?"); n < 98_000 || n > 102_000 { // 6 standard deviations
		t.Errorf("%d counts in 1 s at 100 kHz", n)
	}
	if n := count("TSCO5:COUNter:INTEgration 100;:TSCO5:COUNter?"); n < 9_400 || n > 10_600 {
		t.Errorf("%d counts in 100 ms at 100 kHz", n)
	}
	if n := count("INPU2:ENAB OFF;COUNter?"); n != 0 {
		t.Errorf("%d counts of a disabled input", n)
	}
	if n := count("TSCO1:COUNter?"); n != 0 {
		t.Errorf("%d counts of a combiner without input", n)
	}
	before := time.Now()
	c.ask("INPU3:COUNter:MODE ACCUm")
	time.Sleep(20 * time.Millisecond)
	first := count("INPU3:COUNter?")
	c.Until("INPU3:COUNter?", func(reply string) bool { return reply != strconv.Itoa(first) })
	second := count("INPU3:COUNter?")
	most := time.Since(before).Seconds()*100_000 + 1000
	if first < 1500 || second <= first || float64(second) > most {
		t.Errorf("accumulated %d, then %d, at most %.0f expected", first, second, most)
	}
	if n := count("INPU3:COUNter:RESEt;:INPU3:COUNter?"); n >= second {
		t.Errorf("%d counts after reset", n)
	}
}

// TestHistogram has no jitter, so that both inputs detect each pair at once
// and a delay of 5 ns is all there is between them.
func TestHistogram(t *testing.T) {
	s := start(t, idq.Config{Sky: sky.Settings{Seed: 5, Pairs: sky.Pairs{Rate: 100 * quantity.Kilohertz}}})
	c := s.scpi()
	if n := strings.Count(c.ask("HIST2:DATA?"), "0"); n != 16384 {
		t.Errorf("%d bins", n)
	}
	c.expect("HIST2:BCOU 4;DATA?;:HIST2:REF:LINK?;:HIST2:STOP:LINK?", "Value set to 4\n[0, 0, 0, 0]\nNONE\nTSCO6")
	c.ask("DEVI:RES LOWRES")
	c.expect("HIST2:BWID 1950;BWID?", "Value set to 2000\n2000TB")
	c.ask("HIST2:REF:LINK TSCO5;:HIST2:MIN 2000;:DELA2:VALU 5000;:REC:ENAB ON;DUR 50e9;PLAY")
	s.truth()
	data := c.ask("HIST2:DATA?")
	var bins []int
	if err := json.Unmarshal([]byte(data), &bins); err != nil || len(bins) != 4 {
		t.Fatalf("%s: %v", data, err)
	}
	if bins[1] < 4000 || bins[0]+bins[2]+bins[3] > 50 {
		t.Errorf("bins from 2 ns, 2 ns wide: %v", bins)
	}
	c.expect("HIST2:FLUS;DATA?", "Flushed Histogram!\n[0, 0, 0, 0]")
}
