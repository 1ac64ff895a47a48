package tagfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	npyMagic = "\x93NUMPY"
	// maxNPYHeader bounds the text; numpy's own for an array of tags has 118 bytes.
	maxNPYHeader = 1 << 16
)

// npyLayout is how an array's rows are read.
type npyLayout struct {
	size    int // bytes of a row
	time    npyField
	channel npyField // width 0: none
	count   uint64   // rows
	// negative says that the header claims minus count.
	negative bool
}

// Names of fields that hold a time in ps, and a channel.
var (
	npyTimes    = []string{"ps", "time_ps", "t_ps", "time", "t", "timestamp", "timestamps", "timetag", "timetags"}
	npyChannels = []string{"channel", "channels", "chan", "ch", "detector", "detectors"}
)

// npyHeader reads the header and returns how long it is.
func (f *file) npyHeader() (l npyLayout, size int64, err error) {
	start, err := f.head(12 + maxNPYHeader)
	if err != nil {
		return l, 0, err
	}
	if n := min(len(start), len(npyMagic)); string(start[:n]) != npyMagic[:n] {
		return l, 0, f.errorf("it begins with %q, an array of numpy with %q", start[:n], npyMagic)
	}
	if len(start) < 12 {
		return l, 0, f.damagef(0, "it has %d bytes, too few for the header of an array of numpy; the file is cut off", len(start))
	}
	begin, length := 10, uint32(binary.LittleEndian.Uint16(start[8:]))
	switch version := start[6]; version {
	case 1:
	case 2, 3:
		begin, length = 12, binary.LittleEndian.Uint32(start[8:])
	default:
		return l, 0, f.errorf("its version is %d, known are 1 to 3", version)
	}
	if length > maxNPYHeader {
		return l, 0, f.errorf("its header has %d bytes, the limit is %d", length, maxNPYHeader)
	}
	if int(length) > len(start)-begin {
		return l, 0, f.damagef(0, "its header has %d bytes, the file %d; it is cut off", length, f.Size())
	}
	end := begin + int(length)
	if l, err = npyLayoutOf(string(start[begin:end])); err != nil {
		return l, 0, readError(f.path, err)
	}
	return l, int64(end), nil
}

// npyLayoutOf understands the text of a header.
func npyLayoutOf(text string) (npyLayout, error) {
	p := npyParser{rest: text}
	value, err := p.value(0)
	if err != nil {
		return npyLayout{}, fmt.Errorf("its header %.60q: %w", text, err)
	}
	dict, _ := value.(map[string]any)
	shape, ok := dict["shape"].([]any)
	if !ok || len(shape) == 0 {
		return npyLayout{}, fmt.Errorf("its header %.60q gives no shape of an array of tags", text)
	}
	l := npyLayout{}
	switch n := shape[0].(type) {
	case uint64:
		l.count = n
	case int64: // below 0
		l.count, l.negative = uint64(-n), true
	default:
		return l, fmt.Errorf("its header %.60q gives no shape of an array of tags", text)
	}
	fortran, _ := dict["fortran_order"].(bool)
	switch descr := dict["descr"].(type) {
	case string:
		err = l.plain(descr, shape, fortran)
	case []any:
		if len(shape) != 1 {
			return l, fmt.Errorf("its records are in %d dimensions, want one", len(shape))
		}
		err = l.records(descr)
	default:
		err = errors.New("its header does not describe the type of its numbers")
	}
	return l, err
}

// plain understands an array of numbers.
func (l *npyLayout) plain(descr string, shape []any, fortran bool) error {
	field, err := npyType(descr)
	if err != nil {
		return err
	}
	l.time = field
	switch {
	case len(shape) == 1:
		l.size = field.width
		return nil
	case len(shape) == 2 && shape[1] == uint64(2) && !fortran:
		l.channel, l.size = field, 2*field.width
		l.time.offset = field.width
		return nil
	}
	return fmt.Errorf("its shape is %v, want (n,), or (n, 2) in C order with a channel and a time in each row", shape)
}

// records understands an array of records.
func (l *npyLayout) records(descr []any) error {
	var names []string
	for _, d := range descr {
		field, _ := d.([]any)
		if len(field) != 2 {
			return fmt.Errorf("field %v of its records is no pair of a name and a type", d)
		}
		name, okName := field[0].(string)
		kind, okKind := field[1].(string)
		if !okName || !okKind {
			return fmt.Errorf("field %v of its records is no pair of a name and a type", d)
		}
		width, err := npyWidth(kind)
		if err != nil {
			return err
		}
		into := (*npyField)(nil)
		if among(name, npyTimes) && l.time.width == 0 {
			into = &l.time
		} else if among(name, npyChannels) && l.channel.width == 0 {
			into = &l.channel
		}
		if into != nil {
			if *into, err = npyType(kind); err != nil {
				return fmt.Errorf("field %q: %w", name, err)
			}
			into.offset = l.size
		}
		names = append(names, name)
		l.size += width
	}
	if l.time.width == 0 {
		return fmt.Errorf("its records have fields %q; none is a time: %s", names, list(npyTimes))
	}
	return nil
}

func among(name string, names []string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// npyWidth is the size of a type like "<u8" in bytes. Text in Unicode counts
// characters, of four bytes, and a date has its unit behind it, as in "<M8[ns]".
func npyWidth(kind string) (int, error) {
	if len(kind) > 2 && strings.ContainsRune("<>|=", rune(kind[0])) {
		digits, _, _ := strings.Cut(kind[2:], "[")
		if width, err := strconv.ParseUint(digits, 10, 16); err == nil && width > 0 {
			if kind[1] == 'U' {
				width *= 4
			}
			return int(width), nil
		}
	}
	return 0, fmt.Errorf("its type %.20q is not known", kind)
}

// npyType understands a type of integers.
func npyType(kind string) (npyField, error) {
	width, err := npyWidth(kind)
	if err != nil {
		return npyField{}, err
	}
	field := npyField{width: width, signed: kind[1] == 'i', order: binary.LittleEndian}
	if kind[0] == '>' {
		field.order = binary.BigEndian
	}
	integer := kind[1] == 'i' || kind[1] == 'u'
	if !integer || width != 1 && width != 2 && width != 4 && width != 8 {
		return npyField{}, fmt.Errorf("its numbers are of type %q, want integers of up to 8 bytes; convert times to whole ps: (t*1e12).round().astype('u8')", kind)
	}
	return field, nil
}

// npyParser reads the part of Python's literals that headers are made of:
// dictionaries with string keys, lists, tuples, strings, numbers, True and False.
type npyParser struct{ rest string }

var errNPY = errors.New("cannot be understood")

func (p *npyParser) value(depth int) (any, error) {
	const deepest = 8
	p.rest = strings.TrimLeft(p.rest, " \t\n")
	if p.rest == "" || depth > deepest {
		return nil, errNPY
	}
	switch c := p.rest[0]; {
	case c == '{':
		return p.dict(depth)
	case c == '[':
		return p.sequence(']', depth)
	case c == '(':
		return p.sequence(')', depth)
	case c == '\'' || c == '"':
		text, rest, found := strings.Cut(p.rest[1:], string(c))
		if !found || strings.Contains(text, "\\") {
			return nil, errNPY
		}
		p.rest = rest
		return text, nil
	}
	n := strings.IndexAny(p.rest+",", ",:)]} \n")
	word := p.rest[:n]
	p.rest = p.rest[n:]
	switch word {
	case "True":
		return true, nil
	case "False":
		return false, nil
	}
	return npyNumber(strings.TrimSuffix(word, "L"))
}

// npyNumber is a uint64, or an int64 where it is below 0; numpy's own are of 63
// bits and a sign.
func npyNumber(word string) (any, error) {
	number, err := strconv.ParseInt(word, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nil, fmt.Errorf("it says %.40s, and no array of numpy has so many rows or columns; the header is damaged", word)
	case err != nil || strings.HasPrefix(word, "+") || word == "-0":
		return nil, errNPY
	case number < 0:
		return number, nil
	}
	return uint64(number), nil
}

// take drops c when it is next.
func (p *npyParser) take(c byte) bool {
	p.rest = strings.TrimLeft(p.rest, " \t\n")
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *npyParser) sequence(end byte, depth int) (any, error) {
	p.rest = p.rest[1:]
	items := []any{}
	for !p.take(end) {
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if !p.take(',') && !strings.HasPrefix(p.rest, string(end)) {
			return nil, errNPY
		}
	}
	return items, nil
}

func (p *npyParser) dict(depth int) (any, error) {
	p.rest = p.rest[1:]
	items := map[string]any{}
	for !p.take('}') {
		key, err := p.value(depth + 1)
		name, ok := key.(string)
		if err != nil || !ok || !p.take(':') {
			return nil, errNPY
		}
		if items[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		if !p.take(',') && !strings.HasPrefix(p.rest, "}") {
			return nil, errNPY
		}
	}
	return items, nil
}
