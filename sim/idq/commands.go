package idq

import (
	"math"
	"strconv"
	"strings"
)

// command is what a header stands for. Its value is kept under the canonical
// header and returned on query, whether or not anything in the simulator
// depends on it.
type command struct {
	kind      kind
	choices   []string // choice: long forms
	def       value
	low, high int64 // span, number, count, volts

	reply   string // action: what it answers
	rewires bool   // changes where events come from

	perBlock func(block int) value                      // default that depends on the block
	ask      func(d *device, block int) (string, error) // answers the query instead of the value kept
	act      func(d *device, block int, v value) error  // after the value is kept, or the action itself
	check    func(d *device, block int, v value) error  // before it is kept
}

// Limits of times: a record of the longest span and its period stay within 64 bits.
const (
	longestSpan  = int64(1) << 60 // ps, 13 days
	longestDelay = int64(1e12)    // 1 s
	longestWait  = int64(3600e12) // 1 h: from a trigger to what it starts
	deadTime     = int64(40_000)  // ps: the least between two records

	shortestPulses = int64(80_000) // ps: period of a generator; the device takes one event in 100 ns
)

func onOff(def string) *command { return &command{kind: toggle, def: value{text: def}} }

func oneOf(choices ...string) *command {
	return &command{kind: choice, choices: choices, def: value{text: choices[0][:shortForm(choices[0])]}}
}

func times(def, low, high int64) *command {
	return &command{kind: span, def: value{n: def}, low: low, high: high}
}

func integer(def, low, high int64) *command {
	return &command{kind: number, def: value{n: def}, low: low, high: high}
}

func counting(def int64) *command {
	return &command{kind: count, def: value{n: def}, low: 1, high: math.MaxInt64}
}

func linked(def string) *command {
	return &command{kind: link, def: value{text: def}, rewires: true}
}

func do(act func(d *device, block int, v value) error) *command {
	return &command{kind: action, act: act}
}

// saying is an action that answers.
func saying(reply string, act func(d *device, block int, v value) error) *command {
	return &command{kind: action, act: act, reply: reply}
}

// only refuses every value of a command but one.
func (c *command) only(allowed func(v value) bool, why string) *command {
	c.check = func(_ *device, _ int, v value) error {
		if allowed(v) {
			return nil
		}
		return &scpiError{"PARAM_TYPE", c.print(v) + " is not simulated: " + why}
	}
	return c
}

// word allows one word of a choice, or one link.
func word(allowed string) func(value) bool { return func(v value) bool { return v.text == allowed } }

func tell(ask func(d *device, block int) (string, error)) *command {
	return &command{kind: reading, ask: ask}
}

func nothing(*device, int, value) error { return nil }

// commandTree returns every command of the device.
func commandTree() *mnemonic {
	root := &mnemonic{}
	addDevice(root)
	addInputs(root)
	addRouting(root)
	addGenerators(root)
	addReadout(root)
	addStates(root)
	return root
}

func addDevice(root *mnemonic) {
	root.add("*IDN", tell((*device).identity))
	root.add("DEVIce:RESolution", oneOf("HIRES", "LOWRES"))
	root.add("DEVIce:RESolution:BWIDth", tell(func(d *device, _ int) (string, error) {
		return strconv.FormatInt(d.resolution(), 10), nil
	}))
	root.add("DEVIce:SYNC", oneOf("INTernal", "EXTernal"))
	load := oneOf("INIT", "HISTOgram", "COUNTer", "BLANK")
	load.act = (*device).loadPreset
	root.add("DEVIce:CONFiguration:LOAD", load)
	root.add("DEVIce:LEDS", onOff("ON"))
	root.add("DEVIce:SAMPling:RECAlibrate", do(nothing))
}

func addInputs(root *mnemonic) {
	for _, block := range []string{"STARt", "INPUt#4"} {
		root.add(block+":ENABle", onOff("ON"))
		root.add(block+":COUPling", oneOf("DC", "AC"))
		root.add(block+":EDGE", oneOf("RISIng", "FALLing"))
		root.add(block+":THREshold", &command{kind: volts, low: -5_000_000, high: 5_000_000})
		from := oneOf("UNSHaped", "SHAPed", "OUTPut", "LOOP")
		from.rewires = true
		if block == "STARt" {
			from.only(func(v value) bool { return v.text == "UNSH" || v.text == "SHAP" }, "START has no output of its number")
		}
		root.add(block+":SELEct", from)
		root.add(block+":HIREs:ERROr", tell(func(*device, int) (string, error) { return "0", nil }))
		root.add(block+":HIREs:ERROr:CLEAr", saying("Cleared Highres errors", nothing))
		root.add(block+":HIREs:CLEAr", saying("Cleared Highres errors", nothing))
	}
	root.add("STARt:DELAy", times(0, 0, longestDelay))
	root.add("STARt:RESYncpolicy", oneOf("AUTO", "MANUal"))
	root.add("INPUt#4:RESYncpolicy", oneOf("AUTO", "MANUal"))
	for _, block := range []string{"STARt", "INPUt#4", "TSCO#24"} {
		name, _, _ := strings.Cut(block, "#")
		root.add(block+":COUNter", tell(func(d *device, n int) (string, error) { return d.counter(name, n).query() }))
		mode := oneOf("CYCLe", "ACCUm")
		mode.act = func(d *device, n int, _ value) error { return d.resetCounter(name, n) }
		root.add(block+":COUNter:MODE", mode)
		root.add(block+":COUNter:INTEgrationtime", integer(1000, 1, 65_535)) // ms
		root.add(block+":COUNter:RESEt", saying("Counter value set to 0 ", func(d *device, n int, _ value) error { return d.resetCounter(name, n) }))
	}
}

// addRouting adds the blocks between inputs and readout. The links they have
// without being set follow the vendor's scripts.
func addRouting(root *mnemonic) {
	root.add("DELAy#8:VALUe", times(0, 0, longestDelay))
	delay := linked(unlinked)
	delay.perBlock = func(n int) value {
		if n == 8 { // carries the START trigger where several devices work together
			return value{text: "STAR"}
		}
		return value{text: "INPU" + strconv.Itoa((n-1)%inputs+1)}
	}
	addLink(root, "DELAy#8:LINK", delay)
	first := linked(unlinked)
	first.perBlock = func(n int) value {
		if n > inputs && n <= 2*inputs {
			return value{text: "DELA" + strconv.Itoa(n-inputs)}
		}
		return value{text: unlinked}
	}
	addLink(root, "TSCO#24:FIRst:LINK", first)
	addLink(root, "TSCO#24:SECond:LINK", linked(unlinked))
	for _, side := range []string{"OPIN", "OPOUt"} {
		root.add("TSCO#24:"+side, oneOf("ONLYFIR", "ONLYSEC", "AND", "OR", "MUTE").only(
			func(v value) bool { return v.text != "AND" }, "how long pulses overlap is not known"))
	}
	window := onOff("OFF")
	window.check = (*device).checkWindow
	root.add("TSCO#24:WINDow:ENABle", window)
	for _, end := range []string{"BEGIn", "END"} {
		addLink(root, "TSCO#24:WINDow:"+end+":LINK", linked(unlinked))
		root.add("TSCO#24:WINDow:"+end+":DELAy", times(0, 0, longestDelay))
		edge := oneOf("RISIng", "FALLing")
		edge.check = (*device).checkEdge
		root.add("TSCO#24:WINDow:"+end+":EDGE", edge)
	}
	root.add("OUTPut#4:ENABle", onOff("OFF"))
	addLink(root, "OUTPut#4:LINK", linked(unlinked))
	root.add("OUTPut#4:MODE", oneOf("NIM", "TTL"))
	root.add("OUTPut#4:DELAy", times(0, 0, longestDelay))
	root.add("OUTPut#4:PULSe", onOff("OFF"))
	root.add("OUTPut#4:PULSe:WIDTh", times(1e6, 1, longestSpan))
}

// The simulator knows when pulses begin and not when they end, so a window that
// is at work may be driven by rising edges only.
var errFalling = &scpiError{"PARAM_TYPE", "a window driven by falling edges is not simulated: how long pulses last is not known"}

func (d *device) checkWindow(n int, v value) error {
	at := "TSCO" + strconv.Itoa(n) + ":WINDow:"
	if v.text == "ON" && (d.get(at+"BEGIn:EDGE").text == "FALL" || d.get(at+"END:EDGE").text == "FALL") {
		return errFalling
	}
	return nil
}

func (d *device) checkEdge(n int, v value) error {
	if v.text == "FALL" && d.get("TSCO"+strconv.Itoa(n)+":WINDow:ENABle").text == "ON" {
		return errFalling
	}
	return nil
}

// addLink adds a link and the list of what it takes.
func addLink(root *mnemonic, pattern string, c *command) {
	root.add(pattern, c)
	root.add(pattern+":ADDResses", tell(func(*device, int) (string, error) { return addresses(), nil }))
}

func addGenerators(root *mnemonic) {
	enable := onOff("OFF")
	enable.act = (*device).generatorEnabled
	root.add("GENerator#8:ENABle", enable)
	root.add("GENerator#8:PPERiod", times(1_004_000, shortestPulses, longestSpan))
	root.add("GENerator#8:PWIDth", times(1_000_000, 1, longestSpan))
	root.add("GENerator#8:PNUMber", counting(1))
	root.add("GENerator#8:PLAY", do((*device).generatorPlay))
	root.add("GENerator#8:STOP", do((*device).generatorStop))
	addTrigger(root, "GENerator#8", (*device).generatorArm, (*device).generatorDisarm, nothing)

	root.add("RECord:ENABle", onOff("OFF"))
	number := counting(1)
	number.low = 0 // as good as INF
	root.add("RECord:NUMber", number)
	width, period := times(1e12, 1, longestSpan), times(1e12+deadTime, 1, longestSpan+deadTime)
	width.act = (*device).recordWidth
	period.check = (*device).recordPeriod
	root.add("RECord:DURation", width)
	root.add("RECord:PWIDth", width)
	root.add("RECord:PPERiod", period)
	root.add("RECord:PLAY", do((*device).recordPlay))
	root.add("RECord:STOP", do((*device).recordStop))
	root.add("RECord:STAGe", tell((*device).recordStage))
	addTrigger(root, "RECord", (*device).recordArm, (*device).recordDisarm, (*device).recordArmed)
}

// addTrigger adds what starts a generator; changed is called when it may have
// to arm itself.
func addTrigger(root *mnemonic, block string, arm, disarm, changed func(*device, int, value) error) {
	root.add(block+":TRIGger:ARM", do(arm))
	root.add(block+":TRIGger:DARM", do(disarm))
	mode := oneOf("MANUal", "AUTO")
	mode.act = changed
	root.add(block+":TRIGger:ARM:MODE", mode)
	root.add(block+":TRIGger:DELAy", times(0, 0, longestWait))
	to := linked(unlinked)
	to.act = changed
	addLink(root, block+":TRIGger:LINK", to)
}

func addReadout(root *mnemonic) {
	stop := func(n int) value { return value{text: "TSCO" + strconv.Itoa(n+inputs)} }
	for _, block := range []string{"HISTogram#4", "RAW#4"} {
		addLink(root, block+":REF:LINK", linked(unlinked))
		stops := linked(unlinked)
		stops.perBlock = stop
		addLink(root, block+":STOP:LINK", stops)
		addLink(root, block+":ENABle:LINK", linked("REC").only(word("REC"), "tags are taken while RECord plays"))
	}
	for _, side := range []string{"REF", "STOP"} {
		root.add("HISTogram#4:"+side+":FILTer", oneOf("RISIng", "FALLing", "ALL").only(word("RISI"), "how long pulses last is not known"))
	}
	root.add("HISTogram#4:MINimum", times(0, 0, longestSpan))
	width := times(100, 1, 17_179_869_183_999)
	width.act = (*device).histogramWidth
	root.add("HISTogram#4:BWIDth", width)
	root.add("HISTogram#4:BCOUnt", integer(maxBins, 1, maxBins))
	root.add("HISTogram#4:DATA", tell((*device).histogramData))
	root.add("HISTogram#4:FLUSh", saying("Flushed Histogram!", (*device).histogramFlush))

	send := onOff("OFF")
	send.act = func(d *device, n int, v value) error {
		d.send[n].Store(v.text == "ON")
		return nil
	}
	root.add("RAW#4:SEND", send)
	for _, part := range []string{"NUMErator", "DENOminator"} {
		root.add("RAW#4:"+part, integer(1, 1, math.MaxInt32).only(func(v value) bool { return v.n == 1 }, "what the values would be scaled to is not known"))
	}
	root.add("RAW#4:ERRORS", tell(func(d *device, n int) (string, error) {
		return strconv.FormatUint(d.lost[n].Load(), 10), nil
	}))
	root.add("RAW#4:ERRORS:CLEAR", do(func(d *device, n int, _ value) error {
		d.lost[n].Store(0)
		return nil
	}))
}
