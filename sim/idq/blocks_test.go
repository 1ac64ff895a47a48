package idq_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// half is a controller each of whose inputs detects half of 20 000 pairs a second.
func half(t *testing.T) *simulator {
	t.Helper()
	half := quantity.Whole / 2
	return start(t, idq.Config{
		Sky:        sky.Settings{Seed: 3, Pairs: sky.Pairs{Rate: 20 * quantity.Kilohertz, Jitter: 80}},
		Controller: sky.Controller{Efficiency: &half},
	})
}

// all sends commands one by one, as the vendor's programs do, and none may be refused.
func (c *client) all(commands ...string) {
	c.t.Helper()
	for _, command := range commands {
		if reply := c.ask(command); strings.Contains(reply, "SCPI_ERR_") {
			c.t.Errorf("%s: %s", command, reply)
		}
	}
}

// numbers asks for integers, one a line.
func (c *client) numbers(request string) []int {
	c.t.Helper()
	var list []int
	for line := range strings.Lines(c.ask(request)) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			c.t.Fatalf("%s: %v", request, err)
		}
		list = append(list, n)
	}
	return list
}

// histogram reads the bins of a histogram.
func (c *client) histogram(n int) []int {
	c.t.Helper()
	text := strings.Trim(c.ask(fmt.Sprintf("HIST%d:DATA?", n)), "[]")
	var bins []int
	for word := range strings.SplitSeq(text, ", ") {
		k, err := strconv.Atoi(word)
		if err != nil {
			c.t.Fatal(err)
		}
		bins = append(bins, k)
	}
	return bins
}

func sum(bins []int) (n int) {
	for _, k := range bins {
		n += k
	}
	return n
}

// near fails unless a count is within 5 standard deviations of what is expected.
func near(t *testing.T, what string, got int, want float64) {
	t.Helper()
	t.Logf("%s: %d, expected %.0f, off by %+.2f standard deviations", what, got, want, (float64(got)-want)/math.Sqrt(want))
	if math.Abs(float64(got)-want) > 5*math.Sqrt(want)+1 {
		t.Errorf("%s: %d, want %.0f", what, got, want)
	}
}

// play records once for a time in ps and waits for the end.
func (c *client) play(ps float64) {
	c.t.Helper()
	c.all("REC:TRIG:ARM:MODE MANUal", "REC:ENABle ON", "REC:STOP", "REC:NUM 1", fmt.Sprintf("REC:DURation %.1f", ps), "REC:PLAY")
	c.Until("REC:STAGe?", func(r string) bool { return strings.ToUpper(r) != "PLAYING" })
}

// TestTextsThatClientsLookFor are those of programs written for real devices.
func TestTextsThatClientsLookFor(t *testing.T) {
	c := half(t).scpi()
	for _, test := range []struct{ request, want string }{
		{"INPU1:COUN:INTE 1000", "Value set to 1000"},
		{"INPU1:COUN:INTE 200.0", "Value set to 200"},
		{"INPUT1:COUNTER:INTEGRATIONTIME 100", "Value set to 100"},
		{"INPU1:COUN:MODE CYCLE", "Value set to CYCLE"},
		{"INPU1:COUN:MODE ACCUM", "Value set to ACCUM"},
		{"INPU1:COUN:RESE", "Counter value set to 0 "},
		{"HIST1:FLUSH", "Flushed Histogram!"},
		{"INPUT1:HIRES:ERROR:CLEAR", "Cleared Highres errors"},
		{"OUTP1:MODE NIM", "Value set to NIM"},
		{"OUTP1:DELA 0", "Value set to 0"},
		{"DEVICE:LEDS OFF", "Value set to OFF"},
		{"REC:TRIG:DARM", ""},
		{"REC:NUM 0", "Value set to 0"},
		{"DELAY3:INPORT:LINK INPU1", "Value set to INPU1"},
		{"HIST1:INPO:REF:LINK TSCO5", "Value set to TSCO5"},
		{"INPUT1:RESYNCPOLICY AUTO", "Value set to AUTO"},
		{"INPU1:RESY AUTO", "Value set to AUTO"},
		{"INPU1:SELE LOOP", "Value set to LOOP"},
		{"START:DELAY 1000", "Value set to 1000"},
		{"DEVICE:SYNC EXTERNAL;RESOLUTION LOWRES", "Value set to EXTERNAL\nValue set to LOWRES"},
		{"DEVICE:STATE?", "DEVICE:SYNC EXTERNAL;RES LOWRES"},
		{"DELAY3:STATE?", "DELA3:VALUE 0TB;INPO:LINK INPU1;"},
		{"INPUT2:STATE?", "INPU2:ENAB ON;COUP DC;EDGE RISING;THRE 0V;SELE UNSHAPED;RESY AUTO;INPU2:COUNTER:INTEGRATIONTIME 1000;MODE CYCLE;"},
		{"START:STATE?", "STAR:ENAB ON;COUP DC;EDGE RISING;THRE 0V;SELE UNSHAPED;DELA 1000TB;START:COUNTER:INTEGRATIONTIME 1000;MODE CYCLE"},
		{":HIST1:STATE?", "HIST1:INPORT:STOP:LINK TSCO5;:HIST1:INPORT:REF:LINK TSCO5;:HIST1:INPORT:ENAB:LINK REC;:HIST1:MIN 0TB;BWID 100TB;BCOUNT 16384;"},
		{"DEVI:CONF:LOAD INIT", "Value set to INIT"},
		{"DEVI:CONF:LOAD BLANK", "Value set to BLANK"},
	} {
		c.expect(test.request, test.want)
	}
	if r := c.ask("NONSENSE"); !strings.HasSuffix(r, "SCPI_ERR_INVALID_CMD") {
		t.Errorf("nonsense: %q", r)
	}
	if r := c.ask("INPU1:COUN:INTE soon"); !strings.HasSuffix(r, "SCPI_ERR_PARAM_TYPE") {
		t.Errorf("no number: %q", r)
	}
	if all := c.ask("STATe?"); strings.Count(all, "TSCO24") < 4 || strings.Contains(all, "\n") {
		t.Errorf("state of all: %q", all)
	}
}

// TestPartsThatAreNotSimulatedAreRefused rather than taken without effect.
func TestPartsThatAreNotSimulatedAreRefused(t *testing.T) {
	c := half(t).scpi()
	c.all("TSCO3:WIND:END:EDGE FALL", "TSCO4:WIND:ENAB ON") // harmless each for itself
	for _, command := range []string{
		"TSCO1:OPIN AND", "TSCO1:OPOU AND", "TSCO3:WIND:ENAB ON", "TSCO4:WIND:BEGI:EDGE FALLING", "HIST1:REF:FILT ALL", "HIST1:STOP:FILT FALL",
		"HIST1:ENAB:LINK GEN1", "RAW1:NUME 100", "RAW1:DENO 2", "STAR:SELE OUTP", "GEN1:PPER 79999",
		"INPU1:COUN:INTE 1e9", "INPU1:COUN:INTE 0", "INPU1:COUN:INTE 65536",
	} {
		if r := c.ask(command); !strings.Contains(r, "SCPI_ERR_") {
			t.Errorf("%s: %q", command, r)
		}
	}
	c.expect("TSCO1:OPIN?;OPOU?;:TSCO3:WIND:ENAB?", "ONLYFIR\nONLYFIR\nOFF")
}

// TestCirclesAreRefused: no link may lead back to where it comes from, through
// an output neither, nor may a web of links grow beyond measure.
func TestCirclesAreRefused(t *testing.T) {
	c := half(t).scpi()
	c.all("OUTP1:LINK TSCO5", "GEN2:TRIG:LINK GEN1", "TSCO2:SEC:LINK TSCO1", "TSCO3:WIND:BEGI:LINK TSCO2")
	for _, command := range []string{"TSCO1:FIR:LINK TSCO1", "INPU1:SELE OUTP", "GEN1:TRIG:LINK GEN2", "TSCO1:WIND:END:LINK TSCO3"} {
		if r := c.ask(command); !strings.HasPrefix(r, "No connection possible") || !strings.Contains(r, "SCPI_ERR_") {
			t.Errorf("%s: %q", command, r)
		}
	}
	c.expect("TSCO1:FIR:LINK?;:INPU1:SELE?", "NONE\nUNSHAPED")
	c.all("DEVI:CONF:LOAD BLANK", "TSCO1:FIR:LINK INPU2")
	refused := false
	for n := 2; n <= 24; n++ {
		r := c.ask(fmt.Sprintf("TSCO%d:FIR:LINK TSCO%d;SEC:LINK TSCO%d;WIND:BEGI:LINK TSCO%d;:TSCO%d:WIND:END:LINK TSCO%d;ENAB ON", n, n-1, n-1, n-1, n, n-1))
		refused = refused || strings.Contains(r, "No connection possible")
	}
	if !refused {
		t.Error("a web of 4^23 links was taken")
	}
	c.numbers("TSCO24:COUN?")
}

// TestRecordTriggers: what arms, disarms and triggers RECord, and for how long it goes on.
func TestRecordTriggers(t *testing.T) {
	s := half(t)
	c := s.scpi()
	c.all("REC:ENAB ON;DUR 1e9;NUM 1;TRIG:LINK GEN1;ARM")
	c.expect("REC:STAG?;TRIG:DARM;:REC:STAG?", "ARMed\nIDLE")
	c.all("GEN1:ENAB ON;PPER 1e9;PNUM INF", "REC:TRIG:DELA 50e9;ARM", "GEN1:PLAY")
	c.expect("REC:STAG?", "WAITing")
	first := s.truth()
	c.all("REC:TRIG:DELA 0;ARM:MODE AUTO") // arms itself from now on
	for range 3 {
		if next := s.truth(); begin(next).Sub(begin(first))%1e9 != 0 || next.Trigger != "generator" {
			t.Errorf("began %d ps after the first, by %s", begin(next).Sub(begin(first)), next.Trigger)
		}
	}
	c.all("REC:TRIG:ARM:MODE MANU", "REC:STOP", "GEN1:STOP")
	for len(s.truths) > 0 {
		<-s.truths
	}
	c.all("REC:TRIG:LINK DELA2;DELA 7;ARM") // an input is as good
	if next := s.truth(); next.Trigger != "input" || next.Records != 1 {
		t.Errorf("truth %+v", next)
	}
	c.all("REC:TRIG:LINK NONE;:REC:NUM 0;PPER 2e9;PLAY")
	time.Sleep(500 * time.Millisecond) // of 250 records, however late it begins
	c.expect("REC:STAG?;NUM?;STOP", "PLAYing\n0")
	if next := s.truth(); next.Records < 10 {
		t.Errorf("%d records without end", next.Records)
	}
}

// TestPulsesNeedTheirWayToStart: what another program left in the combiner or
// the outputs keeps the pulse from START.
func TestPulsesNeedTheirWayToStart(t *testing.T) {
	s := start(t, idq.Config{})
	c := s.scpi()
	c.all("TSCO1:FIR:LINK GEN1;:TSCO1:OPOUt MUTE;:OUTP2:ENAB ON;LINK TSCO1;DELA 1000;:GEN1:ENAB ON",
		"REC:ENAB ON;DUR 1e9;NUM 1;TRIG:LINK DELA8;ARM", "GEN1:PLAY")
	time.Sleep(20 * time.Millisecond)
	c.expect("REC:STAG?", "ARMed")
	c.all("TSCO1:OPOUt ONLYFIR", "GEN1:PLAY")
	if truth := s.truth(); truth.Trigger != "start line" {
		t.Errorf("truth %+v", truth)
	}
	c.all("STAR:ENAB OFF", "REC:TRIG:ARM", "GEN1:PLAY")
	time.Sleep(20 * time.Millisecond)
	c.expect("REC:STAG?;STOP", "ARMed")
}
