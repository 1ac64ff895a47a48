package idq_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/sdk/tagfile"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// onLine starts a controller on a shared START line.
func onLine(t *testing.T, line, serial string) *simulator {
	t.Helper()
	return start(t, idq.Config{Serial: serial, Controller: sky.Controller{StartLine: line}})
}

const (
	arm   = "REC:ENAB ON;DUR 10e9;NUM 1;:DELA8:LINK STAR;:REC:TRIG:LINK DELA8;DELA %d;ARM;:REC:STAG?"
	pulse = "GEN1:ENAB ON;PPER 1004000;PWID 1000000;PNUM %s;:GEN1:PLAY"
)

// begin returns the instant at which an acquisition began.
func begin(truth idq.Truth) sky.Instant { return sky.Unix(truth.StartUnixNs, truth.StartPs) }

func TestOneEdgeStartsAllAtTheSameInstant(t *testing.T) {
	line := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	alice, bob, carol := onLine(t, line, "alice"), onLine(t, line, "bob"), onLine(t, line, "carol")
	a := alice.scpi()
	for delay, s := range []*simulator{alice, bob, carol} {
		reply := s.scpi().ask(fmt.Sprintf(arm, 123*delay))
		if !strings.HasSuffix(reply, "\nARMed") {
			t.Fatalf("arm: %q", reply)
		}
	}
	a.expect("REC:STAG?", "ARMed")
	sent := time.Now()
	a.ask(fmt.Sprintf(pulse, "1"))
	replied := time.Now()
	first := alice.truth()
	if ns := first.StartUnixNs; ns < sent.UnixNano() || ns > replied.UnixNano() || first.Trigger != "start line" {
		t.Errorf("began at %d with %q, pulse asked for between %d and %d", ns, first.Trigger, sent.UnixNano(), replied.UnixNano())
	}
	for i, s := range []*simulator{bob, carol} {
		if got := begin(s.truth()).Sub(begin(first)); got != int64(i+1)*123 {
			t.Errorf("%s began %d ps later than alice, want %d", s.Truth().Serial, got, (i+1)*123)
		}
	}
	a.expect("REC:STAG?", "IDLE")
}

// TestEveryArmNeedsAnEdgeOfItsOwn arms again after one pulse, and then late on
// a train of pulses.
func TestEveryArmNeedsAnEdgeOfItsOwn(t *testing.T) {
	line := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	alice, bob := onLine(t, line, "alice"), onLine(t, line, "bob")
	a, b := alice.scpi(), bob.scpi()
	b.ask(fmt.Sprintf(arm, 0))
	a.ask(fmt.Sprintf(pulse, "1"))
	first := bob.truth()
	b.ask(fmt.Sprintf(arm, 0))
	time.Sleep(100 * time.Millisecond) // were the old edge taken, it would be by now
	b.expect("REC:STAG?", "ARMed")
	a.ask(fmt.Sprintf(pulse, "INF"))
	second := bob.truth()
	b.ask(fmt.Sprintf(arm, 0))
	third := bob.truth()
	if d := begin(second).Sub(begin(first)); d <= 0 {
		t.Errorf("second acquisition %d ps after the first", d)
	}
	if d := begin(third).Sub(begin(second)); d <= 0 || d%1_004_000 != 0 {
		t.Errorf("third acquisition %d ps after the second, not a number of periods", d)
	}
	a.ask("GEN1:STOP")
	b.ask(fmt.Sprintf(arm, 0))
	time.Sleep(100 * time.Millisecond)
	b.expect("REC:STAG?;STOP;STAG?", "ARMed\nIDLE")
	if bob.Truth().Acquisition != 4 || bob.Truth().StartUnixNs != 0 {
		t.Errorf("truth of an acquisition that never began: %+v", bob.Truth())
	}
}

func TestGeneratorTriggersItsOwnRecorder(t *testing.T) {
	s := start(t, idq.Config{})
	c := s.scpi()
	c.ask("REC:ENAB ON;DUR 1e9;TRIG:LINK GEN3")
	c.expect("REC:PLAY;STAG?", "ARMed")
	c.ask("GEN3:PLAY") // not enabled
	c.expect("REC:STAG?", "ARMed")
	c.ask("GEN3:ENAB ON;PLAY")
	if truth := s.truth(); truth.Trigger != "generator" || truth.StartUnixNs == 0 {
		t.Errorf("truth: %+v", truth)
	}
}

func TestLineThatIsTakenIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := onLine(t, taken.Addr().String(), "late")
	if reply := s.scpi().ask("GEN1:ENAB ON;PLAY"); !strings.Contains(reply, "SCPI_ERR_") || !strings.Contains(reply, "in use") {
		t.Errorf("play: %q", reply)
	}
}

// TestLineSurvivesStrangers lets others talk on the line, from both ends.
func TestLineSurvivesStrangers(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	bob := onLine(t, addr, "bob")
	b := bob.scpi()
	b.ask(fmt.Sprintf(arm, 0))
	for _, garbage := range []string{"", "no json\n", strings.Repeat("x", 5000), `{"first_unix_ns":-1,"period_ps":1}` + "\n"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(garbage)) // the other end may be gone already
		conn.Close()
		l.Close()
	}
	b.expect("REC:STAG?", "ARMed")
	alice := onLine(t, addr, "alice")
	a := alice.scpi()
	a.ask("GEN1:ENAB ON")
	for range 100 { // more than the line has places for
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("hello\n"))
		conn.Close()
	}
	a.ask(fmt.Sprintf(pulse, "1"))
	if truth := bob.truth(); truth.Records != 1 {
		t.Errorf("truth: %+v", truth)
	}
}

// TestReplayKeepsDifferencesAcrossControllers plays two channels of one file
// on two controllers and finds the file's own time differences.
func TestReplayKeepsDifferencesAcrossControllers(t *testing.T) {
	line := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	file := t.TempDir() + "/recorded.txt"
	var text strings.Builder
	want := map[int][]uint64{}
	for i := range 3000 {
		channel, at := i%2+1, uint64(7_000_000+i*i*3)
		fmt.Fprintf(&text, "%d;%d\n", channel, at)
		want[channel] = append(want[channel], at-7_000_000)
	}
	writeFile(t, file, text.String())
	var simulators []*simulator
	for channel := 1; channel <= 2; channel++ {
		s := start(t, idq.Config{Serial: fmt.Sprint(channel), Controller: sky.Controller{
			StartLine: line, Replay: &sky.Replay{File: file, Channels: map[int]int{1: channel}},
		}})
		simulators = append(simulators, s)
	}
	got := map[int][]uint64{}
	for i, s := range simulators {
		s.scpi().ask("RAW1:SEND ON")
		d := s.dlt()
		stream := s.stream(d, 1, "")
		defer func() {
			s.truth()
			d.Until("status 1", func(r string) bool { return strings.Contains(r, `"acquisitions_count":1`) })
			d.stop("1")
			got[i+1] = message(t, stream)
			if !slices.Equal(got[i+1], want[i+1]) {
				t.Errorf("channel %d: %d tags, want %d", i+1, len(got[i+1]), len(want[i+1]))
			}
		}()
		s.scpi().ask(fmt.Sprintf(arm, 0))
	}
	simulators[0].scpi().ask(fmt.Sprintf(pulse, "1"))
}

// TestRecordingReplaysTagForTag plays both channels of a real recording on two
// controllers from one edge.
func TestRecordingReplaysTagForTag(t *testing.T) {
	file := need.Data(t, "200204_HH400_T2_320MHz_HBT.timeres")
	recording, err := tagfile.ReadRecording(file, "")
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	var simulators []*simulator
	for channel := 1; channel <= 2; channel++ {
		s := start(t, idq.Config{Folder: t.TempDir(), Controller: sky.Controller{
			StartLine: line, Replay: &sky.Replay{File: file, Channels: map[int]int{1: channel}},
		}})
		simulators = append(simulators, s)
		s.dlt().ask("start-save --address 127.0.0.1 --channel 1 --filename all.bin")
		s.scpi().ask("RAW1:SEND ON;:" + fmt.Sprintf(arm, 0) + ";STOP;DUR 1100e9;TRIG:ARM")
	}
	simulators[0].scpi().ask(fmt.Sprintf(pulse, "1"))
	for i, s := range simulators {
		truth := s.truth()
		sum := sha256.New()
		for _, x := range recording.Channels[i+1] {
			binary.Write(sum, binary.LittleEndian, x-recording.First)
		}
		if got, want := truth.Channels[0], hex.EncodeToString(sum.Sum(nil)); got.SHA256 != want || got.Tags != uint64(len(recording.Channels[i+1])) {
			t.Errorf("channel %d: truth %+v, want %d tags, sum %s", i+1, got, len(recording.Channels[i+1]), want)
		}
	}
}
