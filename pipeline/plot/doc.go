// Package plot draws pictures of curves and of times as SVG. The same picture always
// has the same bytes. Whatever the numbers are, no coordinate of it is no number, and
// no curve has more than [MaxPoints] points.
package plot
