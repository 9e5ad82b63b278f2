# SPDX-License-Identifier: GPL-2.0-only
# make bench-crossover runs this: data and output name files.
set terminal svg size 720,440 font "sans-serif,13" background "white"
set output output
set title "A send and a receive by one process"
set xlabel "bytes of the message"
set ylabel "microseconds"
set logscale x 2
set logscale y
set xtics ("8" 8, "64" 64, "512" 512, "4 Ki" 4096, "32 Ki" 32768, \
	"256 Ki" 262144, "1 Mi" 1048576)
set xrange [8:1048576]
set grid
set key left top
plot data using 1:($2/1000) with linespoints pt 7 ps 0.5 title "queue", \
	data using 1:($3/1000) with linespoints pt 7 ps 0.5 title "ring", \
	data using 1:($4/1000) with linespoints pt 7 ps 0.5 title "ring, one sender, one receiver", \
	data using 1:($5/1000) with linespoints pt 7 ps 0.5 title "memfd for each message", \
	data using 1:($6/1000) with linespoints pt 7 ps 0.5 title "memfd that is kept"
