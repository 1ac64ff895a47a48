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
	delay int64  // ps: sum of the DELAy blocks on the way
}

// trace follows a link through DELAy blocks and the first inputs of TSCO
// blocks to the block that makes its events. A chain without end is NONE.
func (d *device) trace(address string) origin {
	const longest = 8
	var o origin
	for range longest {
		block := strings.TrimRight(address, "0123456789")
		n, _ := strconv.Atoi(address[len(block):])
		switch block {
		case "DELA":
			o.delay += d.get("DELAy" + strconv.Itoa(n) + ":VALUe").n
			address = d.get("DELAy" + strconv.Itoa(n) + ":LINK").text
		case "TSCO":
			address = d.get("TSCO" + strconv.Itoa(n) + ":FIRst:LINK").text
		default:
			o.block, o.n = block, n
			return o
		}
	}
	return origin{block: unlinked}
}
