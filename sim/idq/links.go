package idq

import (
	"strconv"
	"strings"
)

// Blocks that a LINK may name, by their long forms, and how many there are.
var linkable = []struct {
	long   string
	blocks int // 0: one, without a number
}{
	{"STARt", 0}, {"INPUt", inputs}, {"DELAy", delays}, {"TSCO", combiners}, {"GENerator", generators}, {"RECord", 0},
}

// How many blocks of each kind there are. The manual shows at least so many.
const (
	inputs     = 4
	delays     = 8
	combiners  = 24
	generators = 8
	outputs    = 4
	channels   = 4 // RAW and HISTogram blocks
)

const unlinked = "NONE"

// parseLink reads the address of a block; the result has the short form, "DELA8".
func parseLink(argument string) (value, error) {
	if strings.EqualFold(argument, unlinked) {
		return value{text: unlinked}, nil
	}
	name := strings.TrimRight(argument, "0123456789")
	digits := argument[len(name):]
	for _, b := range linkable {
		if !abbreviates(name, b.long) {
			continue
		}
		short := b.long[:shortForm(b.long)]
		if b.blocks == 0 && digits == "" {
			return value{text: short}, nil
		}
		if n, err := strconv.Atoi(digits); err == nil && n >= 1 && n <= b.blocks {
			return value{text: short + strconv.Itoa(n)}, nil
		}
	}
	return value{}, invalid(argument, "address of a block or NONE")
}

// addresses lists every address a LINK takes, as a Python list.
func addresses() string {
	list := []string{strconv.Quote(unlinked)}
	for _, b := range linkable {
		short := b.long[:shortForm(b.long)]
		if b.blocks == 0 {
			list = append(list, strconv.Quote(short))
		}
		for n := 1; n <= b.blocks; n++ {
			list = append(list, strconv.Quote(short+strconv.Itoa(n)))
		}
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// origin is where a chain of links begins.
type origin struct {
	block string // "INPU", "STAR", "GEN", "REC", or NONE
	n     int    // of the block
	delay int64  // ps: sum of the delays on the way
}

// trace follows a link the way its events take, through delays, combiners and
// outputs, to the block that makes them. What combines events of several
// blocks is traced to the first of them; a window is passed over. A way without
// end, or with nothing on it, is NONE.
func (d *device) trace(address string) origin {
	const longest = 16
	var o origin
	for range longest {
		block, n := splitAddress(address)
		number := strconv.Itoa(n)
		switch block {
		case "DELA":
			o.delay += d.get("DELAy" + number + ":VALUe").n
			address = d.get("DELAy" + number + ":LINK").text
		case "TSCO":
			through := d.passed("TSCO" + number)
			if through == "" {
				return origin{block: unlinked}
			}
			address = d.get("TSCO" + number + ":" + through + ":LINK").text
		case "INPU":
			if !d.enabled(n) {
				return origin{block: unlinked}
			}
			if !d.loops(n) {
				o.block, o.n = block, n
				return o
			}
			if d.get("OUTPut"+number+":ENABle").text != "ON" {
				return origin{block: unlinked}
			}
			o.delay += d.get("OUTPut" + number + ":DELAy").n
			address = d.get("OUTPut" + number + ":LINK").text
		case "STAR":
			if d.get("STARt:ENABle").text != "ON" {
				return origin{block: unlinked}
			}
			o.block, o.delay = block, o.delay+d.get("STARt:DELAy").n
			return o
		default:
			o.block, o.n = block, n
			return o
		}
	}
	return origin{block: unlinked}
}

// passed returns the input of a combiner whose events it passes on; empty: none.
func (d *device) passed(at string) string {
	operation := d.get(at + ":OPOUt").text
	if d.get(at+":WINDow:ENABle").text == "ON" && d.get(at+":OPIN").text != "MUTE" {
		operation = d.get(at + ":OPIN").text
	}
	switch operation {
	case "MUTE":
		return ""
	case "ONLYSEC":
		return "SECond"
	}
	return "FIRst"
}
