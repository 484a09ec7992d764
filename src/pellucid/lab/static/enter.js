// @ts-check
/** From the address with the token to the lab, with what stands behind the #. */

location.replace(`/${location.hash}`);
