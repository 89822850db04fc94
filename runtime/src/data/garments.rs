//! The ten kinds of garments that [`Silhouettes`](super::Silhouettes) draws: one function each.
//!
//! A function draws its sizes at random and gives the parts, in the coordinates of `outlines.rs`. The garment hangs in the
//! middle; footwear is seen from the side, its toe at the left.

use super::outlines::{Outline, Part, Point};
use super::silhouettes::Chance;

/// The parts of a garment in the order in which they are painted; `class` is an index of [`FashionMnist::CLASS_NAMES`].
pub(super) fn garment(class: usize, chance: &mut Chance) -> Vec<Part> {
    match class {
        0 => t_shirt(chance),
        1 => trouser(chance),
        2 => pullover(chance),
        3 => dress(chance),
        4 => coat(chance),
        5 => sandal(chance),
        6 => shirt(chance),
        7 => sneaker(chance),
        8 => bag(chance),
        _ => ankle_boot(chance),
    }
}

/// What T-shirt, pullover, coat and shirt share: a torso with two sleeves, its top at y = -0.8.
struct Top {
    hem: f32,
    half_width: f32,
    neck: f32,
    neck_depth: f32,
    sleeve_length: f32,
    /// 0 hangs straight down.
    sleeve_angle: f32,
    sleeve_radius: f32,
}

impl Top {
    fn parts(&self, chance: &mut Chance) -> Vec<Part> {
        let shoulder = self.half_width + 0.06;
        let (sin, cos) = self.sleeve_angle.sin_cos();
        let start = [shoulder - self.sleeve_radius, -0.76 + self.sleeve_radius];
        let end = [start[0] + self.sleeve_length * sin, start[1] + self.sleeve_length * cos];
        let sleeve = Outline::Line(vec![start, end], self.sleeve_radius);
        let torso = half_polygon(&[
            [0.0, -0.84 + self.neck_depth],
            [self.neck, -0.84],
            [shoulder, -0.72],
            [self.half_width - 0.02, -0.3],
            [self.half_width, self.hem],
            [0.0, self.hem + 0.02],
        ]);
        vec![Part::mirrored(sleeve, chance.between(0.65, 0.95)), Part::mirrored(torso, 1.0)]
    }
}

/// A polygon for a mirrored part: it goes on beyond the middle line, so that no edge is seen there.
fn half_polygon(corners: &[Point]) -> Outline {
    let (first, last) = (corners[0], corners[corners.len() - 1]);
    let beyond = |corner: Point| [corner[0] - 0.5, corner[1]];
    Outline::Polygon([&[beyond(first)], corners, &[beyond(last)]].concat())
}

fn line(points: &[Point], radius: f32) -> Outline {
    Outline::Line(points.to_vec(), radius)
}

fn t_shirt(chance: &mut Chance) -> Vec<Part> {
    let mut parts = Top {
        hem: chance.between(0.6, 0.9),
        half_width: chance.between(0.4, 0.52),
        neck: chance.between(0.16, 0.3),
        neck_depth: chance.between(0.08, 0.3),
        sleeve_length: chance.between(0.15, 0.45),
        sleeve_angle: chance.between(0.5, 1.0),
        sleeve_radius: chance.between(0.16, 0.2),
    }
    .parts(chance);
    if chance.happens(0.4) {
        // A print on the chest.
        let y = chance.between(-0.3, 0.1);
        parts.push(Part::new(line(&[[-0.12, y], [0.12, y]], chance.between(0.06, 0.16)), chance.between(0.2, 0.7)));
    }
    parts
}

fn pullover(chance: &mut Chance) -> Vec<Part> {
    let half_width = chance.between(0.38, 0.5);
    let hem = chance.between(0.6, 0.85);
    let mut parts = Top {
        hem,
        half_width,
        neck: chance.between(0.14, 0.26),
        neck_depth: chance.between(0.04, 0.16),
        sleeve_length: chance.between(1.0, 1.35),
        sleeve_angle: chance.between(0.06, 0.3),
        sleeve_radius: chance.between(0.12, 0.17),
    }
    .parts(chance);
    // The ribs at the hem, and sometimes a collar.
    parts.push(Part::mirrored(line(&[[0.0, hem], [half_width - 0.04, hem]], 0.05), chance.between(0.6, 0.95)));
    if chance.happens(0.5) {
        parts.push(Part::mirrored(line(&[[0.0, -0.74], [0.2, -0.82]], 0.05), chance.between(0.55, 0.9)));
    }
    parts
}

fn coat(chance: &mut Chance) -> Vec<Part> {
    let hem = chance.between(0.78, 0.98);
    let mut parts = Top {
        hem,
        half_width: chance.between(0.4, 0.52),
        neck: chance.between(0.16, 0.26),
        neck_depth: chance.between(0.02, 0.14),
        sleeve_length: chance.between(1.1, 1.45),
        sleeve_angle: chance.between(0.06, 0.26),
        sleeve_radius: chance.between(0.13, 0.18),
    }
    .parts(chance);
    // The opening from collar to hem, the lapels, and sometimes pockets.
    let middle = chance.between(-0.06, 0.06);
    let opening = chance.between(0.0, 0.55);
    parts.push(Part::new(line(&[[middle, -0.75], [middle, hem]], chance.between(0.02, 0.045)), opening));
    parts.push(Part::mirrored(line(&[[0.2, -0.8], [0.04, -0.3]], 0.035), chance.between(0.4, 0.85)));
    if chance.happens(0.5) {
        parts.push(Part::mirrored(line(&[[0.18, 0.3], [0.34, 0.25]], 0.03), chance.between(0.3, 0.7)));
    }
    parts
}

fn shirt(chance: &mut Chance) -> Vec<Part> {
    let long = chance.happens(0.6);
    let mut parts = Top {
        hem: chance.between(0.65, 0.95),
        half_width: chance.between(0.36, 0.5),
        neck: chance.between(0.14, 0.26),
        neck_depth: chance.between(0.06, 0.22),
        sleeve_length: if long { chance.between(0.95, 1.35) } else { chance.between(0.2, 0.55) },
        sleeve_angle: if long { chance.between(0.06, 0.35) } else { chance.between(0.4, 0.9) },
        sleeve_radius: chance.between(0.12, 0.17),
    }
    .parts(chance);
    // A collar of two wings, and buttons.
    let collar = chance.between(0.5, 0.85);
    parts.push(Part::mirrored(line(&[[0.2, -0.84], [0.1, -0.62]], 0.05), collar));
    if chance.happens(0.85) {
        let shade = chance.between(0.3, 0.75);
        for button in 0..5 {
            let y = -0.5 + 0.25 * button as f32;
            parts.push(Part::new(line(&[[0.0, y], [0.0, y + 0.05]], 0.025), shade));
        }
    }
    parts
}

fn trouser(chance: &mut Chance) -> Vec<Part> {
    let waist = chance.between(0.22, 0.34);
    let ankle = chance.between(0.2, 0.42);
    let leg = chance.between(0.12, 0.22);
    let bottom = chance.between(0.75, 0.95);
    let crotch = chance.between(-0.45, -0.2);
    let legs = half_polygon(&[
        [0.0, -0.88],
        [waist, -0.88],
        [waist + 0.08, crotch],
        [ankle + leg / 2.0, bottom],
        [(ankle - leg / 2.0).max(0.04), bottom],
        [0.03, crotch],
        [0.0, crotch],
    ]);
    let waistband = line(&[[0.0, -0.84], [waist - 0.02, -0.84]], 0.03);
    vec![Part::mirrored(legs, 1.0), Part::mirrored(waistband, chance.between(0.4, 0.9))]
}

fn dress(chance: &mut Chance) -> Vec<Part> {
    let shoulder = chance.between(0.2, 0.34);
    let waist = chance.between(0.16, 0.28);
    let waist_y = chance.between(-0.3, 0.0);
    let hem = chance.between(0.26, 0.56);
    let mut parts = Vec::new();
    if chance.happens(0.45) {
        // Sleeves, short or long.
        let start = [shoulder - 0.06, -0.7];
        let length = if chance.happens(0.5) { chance.between(0.15, 0.35) } else { chance.between(0.7, 1.0) };
        let (sin, cos) = chance.between(0.1, 0.5).sin_cos();
        let end = [start[0] + length * sin, start[1] + length * cos];
        parts.push(Part::mirrored(line(&[start, end], 0.09), chance.between(0.65, 0.95)));
    }
    let body = half_polygon(&[
        [0.0, -0.9 + chance.between(0.08, 0.35)],
        [shoulder - 0.12, -0.9],
        [shoulder, -0.86],
        [shoulder - 0.02, -0.5],
        [waist, waist_y],
        [hem, 0.92],
        [0.0, 0.95],
    ]);
    parts.push(Part::mirrored(body, 1.0));
    if chance.happens(0.4) {
        parts.push(Part::mirrored(line(&[[0.0, waist_y], [waist, waist_y]], 0.035), chance.between(0.2, 0.8)));
    }
    parts
}

fn bag(chance: &mut Chance) -> Vec<Part> {
    let top = chance.between(-0.35, 0.1);
    let bottom = chance.between(0.5, 0.85);
    let half_width = chance.between(0.5, 0.88);
    let taper = chance.between(-0.1, 0.12);
    let mut parts = Vec::new();
    if chance.happens(0.85) {
        let radii = [half_width * chance.between(0.35, 0.75), chance.between(0.3, 0.6)];
        parts.push(Part::new(Outline::Ring([0.0, top], radii, chance.between(0.04, 0.07)), chance.between(0.6, 1.0)));
    }
    let body = half_polygon(&[
        [0.0, top],
        [half_width - taper - 0.08, top],
        [half_width - taper, top + 0.08],
        [half_width, bottom - 0.08],
        [half_width - 0.08, bottom],
        [0.0, bottom],
    ]);
    parts.push(Part::mirrored(body, 1.0));
    if chance.happens(0.6) {
        // The edge of a flap, and its clasp.
        let flap = top + (bottom - top) * chance.between(0.3, 0.6);
        let shade = chance.between(0.3, 0.75);
        parts.push(Part::mirrored(line(&[[0.0, flap], [half_width - taper - 0.06, flap - 0.08]], 0.025), shade));
        parts.push(Part::new(line(&[[0.0, flap], [0.0, flap + 0.06]], 0.05), shade));
    }
    parts
}

fn sneaker(chance: &mut Chance) -> Vec<Part> {
    let collar = chance.between(-0.42, -0.12);
    let toe = chance.between(0.02, 0.2);
    let sole = chance.between(0.05, 0.1);
    let upper = Outline::Polygon(vec![
        [-0.92, 0.4],
        [-0.92, toe + 0.1],
        [-0.7, toe],
        [-0.35, toe - 0.08],
        [0.05, collar - 0.04],
        [0.2, collar],
        [0.5, collar + 0.08],
        [0.84, collar - 0.06],
        [0.92, 0.4],
    ]);
    let mut parts = vec![
        Part::new(upper, chance.between(0.7, 1.0)),
        Part::new(line(&[[-0.86, 0.4], [0.86, 0.4]], sole), chance.between(0.4, 1.0)),
    ];
    let stripe = chance.between(0.2, 0.7);
    if chance.happens(0.7) {
        parts.push(Part::new(line(&[[0.0, 0.25], [0.35, collar + 0.16]], chance.between(0.03, 0.07)), stripe));
    }
    for lace in 0..3 {
        let x = -0.3 + 0.12 * lace as f32;
        let y = toe - 0.04 + (collar - toe) * 0.3 * lace as f32;
        parts.push(Part::new(line(&[[x, y], [x + 0.08, y + 0.1]], 0.02), stripe));
    }
    parts
}

fn ankle_boot(chance: &mut Chance) -> Vec<Part> {
    let shaft_top = chance.between(-0.9, -0.5);
    let shaft_front = chance.between(-0.08, 0.12);
    let heel = if chance.happens(0.5) { chance.between(0.16, 0.34) } else { chance.between(0.02, 0.1) };
    let ground = 0.75;
    // The foot slopes from the raised heel to the toe.
    let arch = ground - heel;
    let upper = Outline::Polygon(vec![
        [-0.9, ground],
        [-0.9, ground - 0.2],
        [-0.62, ground - 0.38],
        [-0.2, arch - 0.45],
        [shaft_front, arch - 0.75],
        [shaft_front + 0.02, shaft_top],
        [0.74, shaft_top],
        [0.78, arch - 0.5],
        [0.86, arch],
        [0.1, arch + 0.04],
        [-0.35, ground],
    ]);
    let heel_piece = Outline::Polygon(vec![[0.4, arch - 0.05], [0.86, arch - 0.05], [0.8, ground], [0.5, ground]]);
    let sole = chance.between(0.3, 0.9);
    let mut parts = vec![
        Part::new(heel_piece, sole),
        Part::new(upper, 1.0),
        Part::new(line(&[[-0.86, ground], [-0.35, ground]], 0.04), sole),
    ];
    if chance.happens(0.5) {
        // A zip or an elastic in the shaft.
        let x = (shaft_front + 0.74) / 2.0;
        let width = chance.between(0.02, 0.08);
        parts.push(Part::new(line(&[[x, shaft_top + 0.1], [x, arch - 0.35]], width), chance.between(0.2, 0.7)));
    }
    parts
}

fn sandal(chance: &mut Chance) -> Vec<Part> {
    let heel = if chance.happens(0.5) { chance.between(0.25, 0.6) } else { chance.between(0.02, 0.15) };
    let ground = 0.45;
    let back = [0.8, ground - heel];
    let arch = [0.1, ground - heel * 0.5];
    let strap = chance.between(0.035, 0.07);
    let mut parts = vec![
        Part::new(line(&[[-0.88, ground], [-0.4, ground], arch, back], chance.between(0.05, 0.09)), 1.0),
        Part::new(line(&[back, [0.78, ground]], chance.between(0.05, 0.1)), chance.between(0.6, 1.0)),
    ];
    // Straps over the toes.
    let n_straps = 1 + chance.between(0.0, 3.0) as usize;
    for number in 0..n_straps {
        let x = -0.78 + 0.24 * number as f32;
        let rise = chance.between(0.16, 0.3);
        let over = [x + 0.16, ground - rise - 0.1 * number as f32];
        parts.push(Part::new(line(&[[x, ground], over, [x + 0.3, ground - 0.04]], strap), chance.between(0.5, 1.0)));
    }
    if chance.happens(0.8) {
        // Straps around the ankle.
        let height = chance.between(0.3, 0.5);
        let ankle = [0.72, back[1] - height];
        let front = [chance.between(0.1, 0.3), back[1] - height + chance.between(0.0, 0.15)];
        parts.push(Part::new(line(&[back, ankle, front, arch], strap), chance.between(0.5, 1.0)));
    }
    parts
}
