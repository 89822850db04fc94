//! Outlines that [`Silhouettes`](super::Silhouettes) are drawn with: signed distances, painted one over the other.
//!
//! Coordinates: x to the right and y down, the picture is -1..1 in both. A distance is negative inside.

/// A point (x, y).
pub(super) type Point = [f32; 2];

/// One layer of paint.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) outline: Outline,
    /// Whether the part stands on both sides of the middle line x = 0; it is described at x > 0.
    pub(super) mirrored: bool,
    /// How bright the paint is, 0 is the background.
    pub(super) shade: f32,
}

#[derive(Debug, Clone)]
pub(super) enum Outline {
    /// A polygon without self-intersections.
    Polygon(Vec<Point>),
    /// A line through the points, with round joints and ends, this far to each side.
    Line(Vec<Point>, f32),
    /// A ring around an ellipse: centre, the two radii, half the thickness.
    Ring(Point, Point, f32),
}

impl Part {
    pub(super) fn new(outline: Outline, shade: f32) -> Self {
        Part { outline, mirrored: false, shade }
    }

    pub(super) fn mirrored(outline: Outline, shade: f32) -> Self {
        Part { outline, mirrored: true, shade }
    }

    /// Paints over `below` at a point; `pixel` is the width of a pixel, over which an edge is smoothed.
    pub(super) fn paint(&self, below: f32, [x, y]: Point, pixel: f32) -> f32 {
        let point = if self.mirrored { [x.abs(), y] } else { [x, y] };
        let coverage = (0.5 - self.outline.distance(point) / pixel).clamp(0.0, 1.0);
        below + (self.shade - below) * coverage
    }
}

impl Outline {
    /// The signed distance of a point, approximate for the ring.
    fn distance(&self, point: Point) -> f32 {
        match self {
            Outline::Polygon(corners) => polygon(corners, point),
            Outline::Line(points, radius) => {
                let segments = points.windows(2).map(|ends| to_segment(point, ends[0], ends[1]));
                segments.fold(f32::INFINITY, f32::min) - radius
            }
            Outline::Ring([centre_x, centre_y], [radius_x, radius_y], half_thickness) => {
                let offset = [(point[0] - centre_x) / radius_x, (point[1] - centre_y) / radius_y];
                ((length(offset) - 1.0) * radius_x.min(*radius_y)).abs() - half_thickness
            }
        }
    }
}

/// The distance to the nearest edge, negative where a ray to the right crosses an odd number of edges.
fn polygon(corners: &[Point], point: Point) -> f32 {
    let mut nearest = f32::INFINITY;
    let mut inside = false;
    let mut start = corners[corners.len() - 1];
    for &end in corners {
        nearest = nearest.min(to_segment(point, start, end));
        if (start[1] > point[1]) != (end[1] > point[1]) {
            let crossing = start[0] + (point[1] - start[1]) / (end[1] - start[1]) * (end[0] - start[0]);
            inside ^= point[0] < crossing;
        }
        start = end;
    }
    if inside { -nearest } else { nearest }
}

fn to_segment(point: Point, start: Point, end: Point) -> f32 {
    let along = [end[0] - start[0], end[1] - start[1]];
    let to_point = [point[0] - start[0], point[1] - start[1]];
    let square = along[0] * along[0] + along[1] * along[1];
    let share = (to_point[0] * along[0] + to_point[1] * along[1]) / square.max(f32::MIN_POSITIVE);
    let share = share.clamp(0.0, 1.0);
    length([to_point[0] - share * along[0], to_point[1] - share * along[1]])
}

fn length([x, y]: Point) -> f32 {
    (x * x + y * y).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_negative_inside() {
        let square = Outline::Polygon(vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]);
        assert_eq!(square.distance([0.5, 0.25]), -0.25);
        assert_eq!(square.distance([2.0, 0.5]), 1.0);
        let line = Outline::Line(vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], 0.25);
        assert_eq!(line.distance([0.5, 0.0]), -0.25);
        assert_eq!(line.distance([2.0, 1.0]), 0.75);
        let ring = Outline::Ring([0.0, 0.0], [1.0, 1.0], 0.25);
        assert_eq!(ring.distance([1.0, 0.0]), -0.25);
        assert_eq!(ring.distance([0.0, 0.0]), 0.75);
    }

    #[test]
    fn paint_covers_what_lies_below_and_leaves_the_rest() {
        let square = Outline::Polygon(vec![[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]);
        let part = Part::mirrored(square.clone(), 0.7);
        assert_eq!(part.paint(0.3, [0.5, 0.5], 0.1), 0.7);
        assert_eq!(part.paint(0.3, [-0.5, 0.5], 0.1), 0.7);
        assert_eq!(part.paint(0.3, [0.0, 0.5], 0.1), 0.3);
        assert_eq!(part.paint(0.3, [0.2, 0.5], 0.1), 0.5);
        assert_eq!(Part::new(square, 0.7).paint(0.3, [-0.5, 0.5], 0.1), 0.3);
    }
}
