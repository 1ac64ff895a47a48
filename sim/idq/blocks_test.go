package idq_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/quantity"
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
	if math.Abs(float64(got)-want) > 5*math.Sqrt(want)+1 {
		t.Errorf("%s: %d, want %.0f", what, got, want)
	}
}

// play records once for a time in ps and waits for the end.
func (c *client) play(ps float64) {
	c.t.Helper()
	c.all("REC:TRIG:ARM:MODE MANUal", "REC:ENABle ON", "REC:STOP", "REC:NUM 1", fmt.Sprintf("REC:DURation %.1f", ps), "REC:PLAY")
	c.until("REC:STAGe?", func(r string) bool { return strings.ToUpper(r) != "PLAYING" })
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

// TestCountersOverTime follows clients that set a time of integration, wait
// for it, and read.
func TestCountersOverTime(t *testing.T) {
	c := half(t).scpi()
	for _, ms := range []int{50, 200, 1000} {
		c.all("INPU2:COUN:MODE CYCLE", fmt.Sprintf("INPU2:COUN:INTE %d.0", ms))
		time.Sleep(time.Duration(min(ms, 200)) * time.Millisecond)
		near(t, fmt.Sprintf("%d ms", ms), c.numbers("INPU2:COUN?")[0], 10*float64(ms))
	}
}

// TestCoincidenceCounters sets the counters up as the vendor's program does.
func TestCoincidenceCounters(t *testing.T) {
	const window, rate = 10_000, 20_000.0 // ps; pairs per second
	counters := []struct {
		block      string
		begin, end float64 // of the window, in windows
		want       float64 // per second
	}{
		{"INPU1", 0, 0, rate / 2}, {"INPU2", 0, 0, rate / 2}, {"INPU3", 0, 0, rate / 2}, {"INPU4", 0, 0, rate / 2},
		{"TSCO6", 0.5, 1.5, rate / 4}, {"TSCO7", 1.5, 2.5, rate / 4}, {"TSCO8", 2.5, 3.5, rate / 4},
		{"TSCO3", 1.5, 2.5, rate / 4}, {"TSCO4", 2.5, 3.5, rate / 4}, {"TSCO5", 2.5, 3.5, rate / 4},
		{"TSCO13", 0, 2, rate / 8}, {"TSCO14", 1, 3, rate / 8}, {"TSCO15", 0, 2, rate / 8}, {"TSCO16", 0, 2, rate / 8},
		{"TSCO24", 1, 3, rate / 16},
	}
	c := half(t).scpi()
	c.all("DELA2:VALU 0", "DEVI:CONFI:LOAD COUNT")
	for i := 2; i <= 4; i++ {
		c.expect(fmt.Sprintf("DELA%d:VALU?", i), "0TB")
		c.all(fmt.Sprintf("DELA%d:VALU %d", i+4, window*(i-1)))
	}
	var questions []string
	for _, k := range counters {
		if k.end > 0 {
			c.all(fmt.Sprintf("%s:WIND:BEGI:DELA %d", k.block, int(window*k.begin)), fmt.Sprintf("%s:WIND:END:DELA %d", k.block, int(window*k.end)))
		}
		c.all(k.block + ":COUN:MODE CYCL;INTE 1000;RESEt")
		questions = append(questions, k.block+":COUNter?")
	}
	for i, n := range c.numbers(strings.Join(questions, ";:")) {
		near(t, counters[i].block, n, counters[i].want)
	}
	// A window that misses the pairs counts the accidental ones: hardly any.
	c.all("DELA6:VALU 10000000")
	if n := c.numbers("TSCO6:COUN?")[0]; n > 20 {
		t.Errorf("%d coincidences beside the window", n)
	}
	c.all("TSCO6:COUN:MODE ACCU;RESEt", "DELA6:VALU 10000")
	c.until("TSCO6:COUN?", func(r string) bool { n, _ := strconv.Atoi(r); return n > 100 })
}

// TestCoincidencesOfOneWindow follows a client that makes its own counter of a
// combiner and two delays behind those of the inputs.
func TestCoincidencesOfOneWindow(t *testing.T) {
	c := half(t).scpi()
	c.all("DELA5:LINK DELA1", "DELA6:LINK DELA2", "DELA6:VALU 1000",
		"TSCO1:WIND:ENAB ON;BEGI:DELA 500;EDGE RISING;LINK DELA5:TSCO1:WIND:END:DELA 1500;EDGE RISING;LINK DELA5;"+
			":TSCO1:FIR:LINK DELA6;:TSCO:SEC:LINK NONE;:TSCO1:OPIN ONLYFIR;OPOUT MUTE;:TSCO1:COUN:INTE 1000;MODE CYCLE", "TSCO1:COUN:RESET")
	near(t, "coincidences", c.numbers("TSCO1:COUN?")[0], 5_000)
}

// TestGeneratorsAreEvents: the vendor's demonstration without a wire.
func TestGeneratorsAreEvents(t *testing.T) {
	s := start(t, idq.Config{Controller: sky.Controller{Drift: 50 * quantity.PartPerBillion, ClockOffset: 123}})
	c, d := s.scpi(), s.dlt()
	stream := s.stream(d, 2, "")
	c.all("GEN2:ENAB ON;PPER 10000000;PWID 20000;PNUM INF;PLAY;TRIG:LINK NONE", "TSCO2:FIR:LINK GEN2;:TSCO2:OPIN ONLYFIR;OPOUt ONLYFIR;WIND:ENAB OFF",
		"RAW2:REF:LINK NONE;:RAW2:STOP:LINK TSCO2;:RAW2:SEND ON")
	c.all("REC:ENAB ON;NUM 1;DUR 200000000000;PLAY")
	tags := message(t, stream)
	if len(tags) < 19_999 || len(tags) > 20_000 {
		t.Fatalf("%d pulses in 200 ms, want 20000", len(tags))
	}
	for i, at := range tags {
		if at != tags[0]+uint64(i)*10_000_000 {
			t.Fatalf("pulse %d at %d", i, at)
		}
	}
	c.all("TSCO2:COUN:MODE CYCL;INTE 100", "GEN2:STOP")
	c.expect("TSCO2:COUN?", "0")
	if truth := s.truth(); truth.Channels[0].Input != 0 || truth.Channels[0].Tags != uint64(len(tags)) {
		t.Errorf("truth %+v", truth.Channels[0])
	}
}

// TestFilteredHistogram is the vendor's demonstration of a window: outputs
// looped back to inputs, stops that slide along the period by 100 ps each.
func TestFilteredHistogram(t *testing.T) {
	c := start(t, idq.Config{}).scpi()
	for n := 1; n <= 3; n++ {
		c.all(fmt.Sprintf("INPU%d:ENAB ON;THRE -0.4V;COUP DC;EDGE FALLING;SELE UNSHAPED", n), fmt.Sprintf("DELA%d:VALUe 0;LINK INPU%d", n, n))
	}
	c.all("TSCO5:WIND:ENAB OFF;:TSCO5:FIR:LINK DELA1;:TSCO5:OPOUt ONLYFIR", "TSCO6:WIND:ENAB OFF;:TSCO6:FIR:LINK DELA2;:TSCO6:OPOUt ONLYFIR",
		"TSCO7:WIND:ENAB ON;:TSCO7:FIR:LINK DELA2", "TSCO7:WIND:BEGI:LINK DELA3;DELAY 100000;EDGE RISING",
		"TSCO7:WIND:END:LINK DELA3;DELAY 600000;EDGE RISING", "TSCO7:OPIN ONLYFIR;:TSCO7:OPOUt MUTE",
		"HIST1:REF:LINK TSCO5;:HIST1:STOP:LINK TSCO6", "HIST2:REF:LINK TSCO5;:HIST2:STOP:LINK TSCO7",
		"GEN1:ENAB OFF", "GEN1:PPER 4000000;PWID 4000;PNUM INF;TRIG:ARM:MODE MANUal", "GEN1:ENAB ON;PLAY",
		"TSCO1:WIND:ENAB OFF;:TSCO1:FIR:LINK GEN1;:TSCO1:OPOUt ONLYFIR", "OUTP1:ENAB ON;MODE NIM;LINK TSCO1",
		"GEN2:ENAB OFF", "GEN2:PPER 4000100;PWID 4000;PNUM INF;TRIG:ARM:MODE MANUal", "GEN2:ENAB ON;PLAY",
		"TSCO2:WIND:ENAB OFF;:TSCO2:FIR:LINK GEN2;:TSCO2:OPOUt ONLYFIR", "OUTP2:ENAB ON;MODE NIM;LINK TSCO2", "OUTP3:ENAB ON;MODE NIM;LINK TSCO1",
		"INPU1:SELE OUTP", "INPU2:SELE OUTP", "INPU3:SELE OUTP")
	for _, h := range []string{"HIST1", "HIST2"} {
		c.all(h+":BCOUnt 50", h+":BWID 100000", h+":FLUSh")
	}
	c.play(0.4e12) // 100 000 starts, which the stops pass two and a half times
	plain, filtered := c.histogram(1), c.histogram(2)
	if n := sum(plain); n < 99_990 || n > 100_000 {
		t.Errorf("%d stops, want 100000", n)
	}
	for i, n := range filtered {
		// One stop may come before the first start of the record.
		switch want := plain[i]; {
		case i >= 1 && i < 6 && (n < want-1 || n > want || n < 1_900):
			t.Errorf("bin %d within the window: %d of %d", i, n, want)
		case (i < 1 || i >= 6) && n != 0:
			t.Errorf("bin %d outside the window: %d", i, n)
		}
	}
}

// TestHistogramWithoutReference counts from the begin of the record, and so
// does one whose reference has not come yet.
func TestHistogramWithoutReference(t *testing.T) {
	s := half(t)
	c := s.scpi()
	stream := s.stream(s.dlt(), 1, "")
	c.all("RAW1:SEND ON", "HIST1:REF:LINK NONE;:HIST1:STOP:LINK TSCO5", "HIST1:BCOUnt 10", "HIST1:BWID 10000000000", "HIST1:FLUSh",
		"HIST2:REF:LINK GEN8;:HIST2:STOP:LINK TSCO5", "HIST2:BCOUnt 10", "HIST2:BWID 10000000000")
	c.play(0.1e12)
	want := make([]int, 10)
	for _, at := range message(t, stream) {
		want[at/10_000_000_000]++
	}
	for h := 1; h <= 2; h++ {
		if got := c.histogram(h); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("histogram %d: %v, want %v", h, got, want)
		}
	}
	near(t, "all", sum(want), 1_000)
}

// TestCountsOverTime takes histograms for counts, as the vendor's programs do:
// first from the begin of the record, then from generators that it starts.
func TestCountsOverTime(t *testing.T) {
	c := half(t).scpi()
	const bin = 20_000_000_000
	c.all("DEVIce:CONF:LOAD HISTO", "TSCO1:FIR:LINK REC", "TSCO1:OPIN ONLYFIR;OPOUt ONLYFIR;WIND:ENAB OFF",
		"HIST1:REF:LINK TSCO1", "TSCO6:OPIN ONLYFIR;OPOUt ONLYFIR;WIND:ENAB OFF", "HIST1:STOP:LINK TSCO6")
	for n, delay := range []int{0, 4 * bin} {
		n += 2
		c.all(fmt.Sprintf("GEN%d:ENAB ON;PNUM 1;PPER 80000;PWID 40000;TRIG:DELA %d;LINK REC;ARM:MODE AUTO", n, delay),
			fmt.Sprintf("TSCO%d:FIR:LINK GEN%d", n+7, n), fmt.Sprintf("HIST%d:REF:LINK TSCO%d", n, n+7), fmt.Sprintf("HIST%d:STOP:LINK TSCO6", n))
	}
	for n := 1; n <= 3; n++ {
		c.all(fmt.Sprintf("HIST%d:BCOUnt 4", n), fmt.Sprintf("HIST%d:BWID %d", n, bin), fmt.Sprintf("HIST%d:FLUSh", n))
	}
	c.play(8 * bin)
	whole, first, second := c.histogram(1), c.histogram(2), c.histogram(3)
	for i := range whole {
		near(t, fmt.Sprintf("bin %d", i), whole[i], 200)
		if first[i] != whole[i] { // the pulse comes with the record
			t.Errorf("bin %d: %d from the generator, %d from the record", i, first[i], whole[i])
		}
	}
	// Before its generator's pulse a histogram counts from the begin of the record.
	for i := range second {
		near(t, fmt.Sprintf("bin %d after the pulse", i), second[i]-whole[i], 200)
	}
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
	time.Sleep(50 * time.Millisecond)
	c.expect("REC:STAG?;NUM?;STOP", "PLAYing\n0")
	if next := s.truth(); next.Records < 10 {
		t.Errorf("%d records without end", next.Records)
	}
}

// TestSweepsAddUp follows a client that lets every edge at START begin a record,
// and adds up what came after it until it flushes.
func TestSweepsAddUp(t *testing.T) {
	s := start(t, idq.Config{Sky: sky.Settings{Seed: 5, Pairs: sky.Pairs{Rate: 1000 * quantity.Kilohertz}}})
	c := s.scpi()
	c.all("STARt:COUNter:MODE ACCUM", "STARt:COUNter:RESEt", "DELA5:LINK STAR", "DELA5:VALUe 0.0", "RECord:ENABle ON", "REC:TRIG:LINK DELA5", "REC:TRIG:DELA 0",
		"HIST2:ENABle:LINK REC", "HIST2:REF:LINK STAR", "HIST2:STOP:LINK TSCO6", "HISTogram2:BCOUnt 100", "HISTogram2:BWIDth 10000000.0", "HIST2:FLUS",
		"REC:NUM 1;DUR 1000000000.0", "GEN1:ENAB ON;PPER 2000000000;PNUM INF;PLAY", "REC:TRIG:ARM:MODE AUTO")
	for range 3 {
		s.truth()
	}
	c.all("REC:TRIG:ARM:MODE MANUAL", "REC:TRIG:DARM")
	c.until("REC:STAGe?", func(r string) bool { return r == "IDLE" })
	bins, sweeps := c.histogram(2), s.Truth().Acquisition
	if s.Truth().Records == 0 {
		sweeps-- // the last was armed in vain
	}
	near(t, "all sweeps", sum(bins), 1_000*float64(sweeps))
	if edges := c.numbers("STARt:COUNter?")[0]; edges < sweeps || sweeps < 3 {
		t.Errorf("%d sweeps, %d edges", sweeps, edges)
	}
	c.all("HIST2:FLUSh")
	if n := sum(c.histogram(2)); n != 0 {
		t.Errorf("%d left after a flush", n)
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
