package idq

import (
	"strconv"
	"strings"
)

// What STATe? answers: the settings of a block, each as the command that makes
// it, with ";" between them. The texts of DEVIce, INPUt, STARt, DELAy and
// HISTogram are those that a client of a real device cuts apart by position;
// the other blocks follow them.

// part of a state: what is written in front of a setting, and its header below
// the block. A # in the text stands for the number of the block.
type stated struct{ text, header string }

var (
	inputState = []stated{
		{"INPU#:ENAB", "ENABle"}, {"COUP", "COUPling"}, {"EDGE", "EDGE"}, {"THRE", "THREshold"}, {"SELE", "SELEct"}, {"RESY", "RESYncpolicy"},
		{"INPU#:COUNTER:INTEGRATIONTIME", "COUNter:INTEgrationtime"}, {"MODE", "COUNter:MODE"},
	}
	startState = []stated{
		{"STAR:ENAB", "ENABle"}, {"COUP", "COUPling"}, {"EDGE", "EDGE"}, {"THRE", "THREshold"}, {"SELE", "SELEct"}, {"DELA", "DELAy"},
		{"START:COUNTER:INTEGRATIONTIME", "COUNter:INTEgrationtime"}, {"MODE", "COUNter:MODE"},
	}
	delayState     = []stated{{"DELA#:VALUE", "VALUe"}, {"INPO:LINK", "LINK"}}
	histogramState = []stated{
		{"HIST#:INPORT:STOP:LINK", "STOP:LINK"}, {":HIST#:INPORT:REF:LINK", "REF:LINK"}, {":HIST#:INPORT:ENAB:LINK", "ENABle:LINK"},
		{":HIST#:MIN", "MINimum"}, {"BWID", "BWIDth"}, {"BCOUNT", "BCOUnt"},
	}
	combinerState = []stated{
		{"TSCO#:INPO:FIR:LINK", "FIRst:LINK"}, {":TSCO#:INPO:SEC:LINK", "SECond:LINK"}, {":TSCO#:OPIN", "OPIN"}, {"OPOU", "OPOUt"},
		{"WIND:ENAB", "WINDow:ENABle"}, {"BEGI:LINK", "WINDow:BEGIn:LINK"}, {"DELA", "WINDow:BEGIn:DELAy"}, {"EDGE", "WINDow:BEGIn:EDGE"},
		{":TSCO#:WIND:END:LINK", "WINDow:END:LINK"}, {"DELA", "WINDow:END:DELAy"}, {"EDGE", "WINDow:END:EDGE"},
		{":TSCO#:COUNTER:INTEGRATIONTIME", "COUNter:INTEgrationtime"}, {"MODE", "COUNter:MODE"},
	}
	generatorState = []stated{
		{"GEN#:ENAB", "ENABle"}, {"PNUM", "PNUMber"}, {"PPER", "PPERiod"}, {"PWID", "PWIDth"},
		{"TRIG:LINK", "TRIGger:LINK"}, {"DELA", "TRIGger:DELAy"}, {"ARM:MODE", "TRIGger:ARM:MODE"},
	}
	recordState = []stated{
		{"REC:ENAB", "ENABle"}, {"NUM", "NUMber"}, {"PPER", "PPERiod"}, {"PWID", "PWIDth"},
		{"TRIG:LINK", "TRIGger:LINK"}, {"DELA", "TRIGger:DELAy"}, {"ARM:MODE", "TRIGger:ARM:MODE"},
	}
	outputState = []stated{
		{"OUTP#:ENAB", "ENABle"}, {"LINK", "LINK"}, {"MODE", "MODE"}, {"DELA", "DELAy"}, {"PULS", "PULSe"}, {"PULS:WIDT", "PULSe:WIDTh"},
	}
	rawState = []stated{
		{"RAW#:INPORT:STOP:LINK", "STOP:LINK"}, {":RAW#:INPORT:REF:LINK", "REF:LINK"}, {":RAW#:INPORT:ENAB:LINK", "ENABle:LINK"},
		{":RAW#:SEND", "SEND"}, {"NUME", "NUMErator"}, {"DENO", "DENOminator"},
	}
)

// stateful lists the blocks that have a state, in the order in which STATe?
// alone gives them all.
var stateful = []struct {
	block  string
	count  int // 0: one, without a number
	parts  []stated
	closed bool // ends with a semicolon too
}{
	{"STARt", 0, startState, false}, {"INPUt", inputs, inputState, true}, {"DELAy", delays, delayState, true},
	{"TSCO", combiners, combinerState, true}, {"GENerator", generators, generatorState, true}, {"RECord", 0, recordState, true},
	{"OUTPut", outputs, outputState, true}, {"HISTogram", channels, histogramState, true}, {"RAW", channels, rawState, true},
}

func addStates(root *mnemonic) {
	root.add("STATe", tell(func(d *device, _ int) (string, error) { return d.stateOfAll(), nil }))
	root.add("DEVIce:STATe", tell((*device).deviceState))
	for _, b := range stateful {
		pattern := b.block
		if b.count > 0 {
			pattern += "#" + strconv.Itoa(b.count)
		}
		root.add(pattern+":STATe", tell(func(d *device, n int) (string, error) {
			return d.state(b.block, n, b.parts, b.closed), nil
		}))
	}
}

func (d *device) deviceState(int) (string, error) {
	return "DEVICE:SYNC " + d.shown("DEVIce:SYNC") + ";RES " + d.shown("DEVIce:RESolution"), nil
}

// state returns the settings of one block.
func (d *device) state(block string, n int, parts []stated, closed bool) string {
	number := ""
	if n > 0 {
		number = strconv.Itoa(n)
	}
	list := make([]string, len(parts), len(parts)+1)
	for i, p := range parts {
		list[i] = strings.ReplaceAll(p.text, "#", number) + " " + d.shown(block+number+":"+p.header)
	}
	if closed {
		list = append(list, "")
	}
	return strings.Join(list, ";")
}

// shown returns a setting as a query answers it.
func (d *device) shown(header string) string {
	p, err := d.tree.find(strings.Split(header, ":"))
	if err != nil {
		panic(err) // a header misspelt in this package
	}
	return p.command.query(d.value(p))
}

// stateOfAll returns the settings of the device and of every block in one line.
func (d *device) stateOfAll() string {
	all, _ := d.deviceState(0) // has no error
	for _, b := range stateful {
		for n := min(1, b.count); n <= b.count; n++ {
			all += ";:" + strings.TrimSuffix(d.state(b.block, n, b.parts, false), ";")
		}
	}
	return all
}

// A coincidence counter of the preset COUNter counts the events of its first
// input that come within its window after those of another block. The window
// is what a program sets; these are the links, as the windows that the vendor's
// programs set need them. Counters of two inputs are combiners of the first
// level, of three of the second, of four of the third.
var coincidences = []struct {
	combiner   int
	first, ref string
}{
	{6, "DELA6", "DELA1"}, {7, "DELA7", "DELA1"}, {8, "DELA8", "DELA1"}, // 1/2, 1/3, 1/4
	{3, "DELA7", "DELA2"}, {4, "DELA8", "DELA2"}, {5, "DELA8", "DELA3"}, // 2/3, 2/4, 3/4
	{13, "TSCO7", "TSCO6"}, {14, "TSCO8", "TSCO6"}, {15, "TSCO8", "TSCO7"}, {16, "TSCO4", "TSCO3"}, // 1/2/3, 1/2/4, 1/3/4, 2/3/4
	{24, "TSCO15", "TSCO6"}, // 1/2/3/4
}

// loadPreset sets the links between blocks to one of the wirings that the
// device knows. What inputs, delays, generators, records and histograms are set
// to beside their links stays, but for INIT, which sets everything.
func (d *device) loadPreset(_ int, v value) error {
	if v.text == "INIT" {
		return d.reset()
	}
	for header := range d.values {
		if isWiring(header) {
			delete(d.values, header)
		}
	}
	switch v.text {
	case "BLANK":
		d.unlink()
	case "COUNT":
		d.linkCounters()
	}
	return nil
}

// reset sets everything to what it was when the device was switched on.
func (d *device) reset() error {
	if err := d.recordStop(0, value{}); err != nil {
		return err
	}
	for n := 1; n <= generators; n++ {
		if err := d.generatorStop(n, value{}); err != nil {
			return err
		}
	}
	clear(d.values)
	for n := 1; n <= channels; n++ {
		d.send[n].Store(false)
	}
	return nil
}

// isWiring reports whether a header says how blocks are linked.
func isWiring(header string) bool {
	return strings.HasPrefix(header, "TSCO") && !strings.Contains(header, ":COUNter:") || strings.HasSuffix(header, ":LINK")
}

// unlink leaves every block without a link.
func (d *device) unlink() {
	none := func(block string, n int, link string) {
		for i := 1; i <= n; i++ {
			d.values[block+strconv.Itoa(i)+link] = value{text: unlinked}
		}
	}
	none("DELAy", delays, ":LINK")
	none("TSCO", combiners, ":FIRst:LINK")
	none("HISTogram", channels, ":STOP:LINK")
	none("RAW", channels, ":STOP:LINK")
}

// linkCounters makes the coincidence counters.
func (d *device) linkCounters() {
	d.values["DELAy8:LINK"] = value{text: "INPU4"}
	for _, c := range coincidences {
		at := "TSCO" + strconv.Itoa(c.combiner)
		d.values[at+":FIRst:LINK"] = value{text: c.first}
		d.values[at+":WINDow:BEGIn:LINK"] = value{text: c.ref}
		d.values[at+":WINDow:END:LINK"] = value{text: c.ref}
		d.values[at+":WINDow:ENABle"] = value{text: "ON"}
		d.values[at+":OPOUt"] = value{text: "MUTE"}
	}
}
