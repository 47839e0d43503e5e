/** Share of the cells that is held out where nobody says otherwise. */
export const HELD_OUT_SHARE = 0.1;
