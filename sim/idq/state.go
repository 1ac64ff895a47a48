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
