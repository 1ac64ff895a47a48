package idq

import (
	"strconv"
	"strings"
)

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
		return d.forget()
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

// forget sets everything to what it was when the device was switched on.
func (d *device) forget() error {
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
