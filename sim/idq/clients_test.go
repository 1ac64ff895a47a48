package idq_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

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
	c.Until("TSCO6:COUN?", func(r string) bool { n, _ := strconv.Atoi(r); return n > 100 })
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
	c.Until("REC:STAGe?", func(r string) bool { return r == "IDLE" })
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
