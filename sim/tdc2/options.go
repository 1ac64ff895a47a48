package tdc2

import (
	"fmt"
	"strconv"
	"strings"
)

// options are the command line of the helper.
type options struct {
	device   string
	mode     int
	most     uint64 // events; 0: without end
	skip     uint64
	absolute bool
	swapped  bool
	fast     bool
	short    bool
	wait     bool // for SIGUSR1
}

// parse reads the command line: letters with a value, joined or in the next
// word, and letters without.
func parse(args []string) (options, error) {
	o := options{device: "/dev/ioboards/usbtmst0"}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if len(arg) < 2 || arg[0] != '-' {
			return o, fmt.Errorf("unexpected argument %.64q", arg)
		}
		letter, value := arg[1], arg[2:]
		if strings.IndexByte("UaqtDdScbLv", letter) >= 0 && value == "" {
			if len(args) == 0 {
				return o, fmt.Errorf("option -%c needs a value", letter)
			}
			value, args = args[0], args[1:]
		}
		if err := o.set(letter, value); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *options) set(letter byte, value string) (err error) {
	switch letter {
	case 'U':
		o.device = value
	case 'a':
		o.mode, err = strconv.Atoi(value)
		if err == nil && (o.mode < -1 || o.mode > 2) {
			err = fmt.Errorf("there is no mode %d", o.mode)
		}
	case 'q':
		o.most, err = strconv.ParseUint(value, 10, 63)
	case 'S':
		o.skip, err = strconv.ParseUint(value, 10, 63)
	case 't':
		err = thresholds(value)
	case 'A':
		o.absolute = true
	case 'X':
		o.swapped = true
	case 'f':
		o.fast = true
	case 's':
		o.short = true
	case 'r':
		o.wait = false
	case 'R':
		o.wait = true
	case 'D', 'd', 'c', 'b', 'L', 'j', 'Q', 'Z', 'v': // of no effect on what is simulated
	default:
		return fmt.Errorf("unknown option -%c", letter)
	}
	if err != nil {
		return fmt.Errorf("option -%c %.64q: %w", letter, value, err)
	}
	return nil
}

// thresholds checks values of the converter: none, one, or four.
func thresholds(value string) error {
	list := strings.Split(value, ",")
	if len(list) != 1 && len(list) != 4 {
		return fmt.Errorf("%d thresholds", len(list))
	}
	for _, text := range list {
		if n, err := strconv.Atoi(text); err != nil || n < 0 || n > 4095 {
			return fmt.Errorf("a threshold is 0 to 4095")
		}
	}
	return nil
}
